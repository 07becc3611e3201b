import GatewayCore
import GatewayServer
import NIOCore
import Testing

@Suite struct OccupancyTests {
    private static let off = Occupancy.Limits(sockets: 0, webSockets: 0, webSocketsPerAddress: 0, handshakesPerSecond: 0)

    private func occupancy(_ change: (inout Occupancy.Limits) -> Void = { _ in }) -> Occupancy {
        var limits = Self.off
        change(&limits)
        return Occupancy(limits: limits)
    }

    private func client(_ number: Int) throws -> ClientAddress {
        ClientAddress(try SocketAddress(ipAddress: "192.0.2.\(number)", port: 1))
    }

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test func `there is room until the sockets are used up, and again after a release`() throws {
        let occupancy = occupancy { $0.sockets = 2 }
        let client = try client(1)
        for _ in 0..<2 {
            #expect(occupancy.hasRoom)
            #expect(occupancy.occupy(client, now: at(0)))
        }
        #expect(!occupancy.hasRoom)
        occupancy.release(client)
        #expect(occupancy.hasRoom)
        #expect(occupancy.sockets == 1)
    }

    @Test func `WebSockets are limited in total`() throws {
        let occupancy = occupancy { $0.webSockets = 2 }
        #expect(occupancy.upgrade(try client(1)) == nil)
        #expect(occupancy.upgrade(try client(2)) == nil)
        #expect(occupancy.upgrade(try client(3)) == .connections)
        occupancy.downgrade(try client(2))
        #expect(occupancy.upgrade(try client(3)) == nil)
        #expect(occupancy.webSockets == 2)
    }

    @Test func `WebSockets are limited by address, and only the address at its limit is refused`() throws {
        let occupancy = occupancy { $0.webSocketsPerAddress = 2 }
        for _ in 0..<2 { #expect(occupancy.upgrade(try client(1)) == nil) }
        #expect(occupancy.upgrade(try client(1)) == .address)
        #expect(occupancy.upgrade(try client(2)) == nil)
        occupancy.downgrade(try client(1))
        #expect(occupancy.upgrade(try client(1)) == nil)
    }

    @Test func `a network of IPv6 is one address`() throws {
        let occupancy = occupancy { $0.webSocketsPerAddress = 2 }
        for host in 1...2 {
            let address = ClientAddress(try SocketAddress(ipAddress: "2001:db8::\(host)", port: 1))
            #expect(occupancy.upgrade(address) == nil)
        }
        #expect(occupancy.upgrade(ClientAddress(try SocketAddress(ipAddress: "2001:db8::3", port: 1))) == .address)
        #expect(occupancy.upgrade(ClientAddress(try SocketAddress(ipAddress: "2001:db8:0:1::3", port: 1))) == nil)
    }

    @Test func `an upgrade that is refused occupies nothing`() throws {
        let occupancy = occupancy { $0.webSockets = 1 }
        #expect(occupancy.upgrade(try client(1)) == nil)
        for _ in 0..<10 { #expect(occupancy.upgrade(try client(2)) == .connections) }
        #expect(occupancy.webSockets == 1)
    }

    @Test func `handshakes are limited by the second and by address`() throws {
        let occupancy = occupancy { $0.handshakesPerSecond = 5 }
        for _ in 0..<5 { #expect(occupancy.occupy(try client(1), now: at(0))) }
        #expect(!occupancy.occupy(try client(1), now: at(199)))
        #expect(occupancy.occupy(try client(2), now: at(199)))
        #expect(occupancy.occupy(try client(1), now: at(200)))
        #expect(!occupancy.occupy(try client(1), now: at(200)))
        #expect(occupancy.sockets == 7)
    }

    @Test func `coming and going doesn't evade the limit on handshakes`() throws {
        let occupancy = occupancy { $0.handshakesPerSecond = 5 }
        for _ in 0..<5 {
            #expect(occupancy.occupy(try client(1), now: at(0)))
            occupancy.release(try client(1))
        }
        #expect(!occupancy.occupy(try client(1), now: at(0)))
        occupancy.sweep(now: at(1999))
        #expect(occupancy.occupy(try client(1), now: at(1999)))
        occupancy.release(try client(1))
        #expect(occupancy.sockets == 0)
    }

    @Test func `one address can't occupy the listener with handshakes`() throws {
        let occupancy = occupancy { $0.webSocketsPerAddress = 10 }
        for _ in 0..<36 { #expect(occupancy.occupy(try client(1), now: at(0))) }
        #expect(!occupancy.occupy(try client(1), now: at(0)))
        #expect(occupancy.occupy(try client(2), now: at(0)))
        occupancy.release(try client(1))
        #expect(occupancy.occupy(try client(1), now: at(0)))
    }

    @Test func `sweeping keeps what is open`() throws {
        let occupancy = occupancy {
            $0.webSocketsPerAddress = 1
            $0.handshakesPerSecond = 100
        }
        #expect(occupancy.occupy(try client(1), now: at(0)))
        #expect(occupancy.upgrade(try client(1)) == nil)
        occupancy.sweep(now: at(1_000_000))
        #expect(occupancy.upgrade(try client(1)) == .address)
        occupancy.downgrade(try client(1))
        occupancy.release(try client(1))
        occupancy.sweep(now: at(1_000_000))
        #expect(occupancy.sockets == 0 && occupancy.webSockets == 0)
        #expect(occupancy.upgrade(try client(1)) == nil)
    }

    @Test func `limits can change while connections are open`() throws {
        let occupancy = occupancy { $0.webSockets = 1 }
        #expect(occupancy.upgrade(try client(1)) == nil)
        occupancy.limits.webSockets = 2
        #expect(occupancy.upgrade(try client(1)) == nil)
        occupancy.limits.webSockets = 1
        #expect(occupancy.upgrade(try client(1)) == .connections)
        occupancy.downgrade(try client(1))
        #expect(occupancy.upgrade(try client(1)) == .connections)
        occupancy.downgrade(try client(1))
        #expect(occupancy.upgrade(try client(1)) == nil)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `whatever comes and goes, nothing is left over`(seed: UInt64) throws {
        var random = ULIDSource(seed: seed)
        let occupancy = occupancy {
            $0.webSockets = 30
            $0.webSocketsPerAddress = 5
            $0.handshakesPerSecond = 50
        }
        var open: [(client: ClientAddress, isUpgraded: Bool)] = []
        var now: Int64 = 0
        for _ in 0..<5000 {
            now += Int64.random(in: 0...30, using: &random)
            let client = try client(Int.random(in: 1...9, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0..<3:
                guard occupancy.occupy(client, now: at(now)) else { break }
                open.append((client, occupancy.upgrade(client) == nil))
            case 3..<5:
                guard !open.isEmpty else { break }
                let gone = open.remove(at: Int.random(in: 0..<open.count, using: &random))
                if gone.isUpgraded { occupancy.downgrade(gone.client) }
                occupancy.release(gone.client)
            default: occupancy.sweep(now: at(now))
            }
            #expect(occupancy.sockets == open.count)
            #expect(occupancy.webSockets == open.count { $0.isUpgraded })
            #expect(occupancy.webSockets <= 30)
        }
    }
}

import GatewayCore
import GatewayServer
import NIOCore
import Testing

@Suite struct OccupancyTests {
    private static let off = Occupancy.Limits(sockets: 0, webSockets: 0, webSocketsPerAddress: 0, handshakesPerSecond: 0, sessions: 0)

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
        #expect(occupancy.upgrade(try client(1), withSession: true) == nil)
        #expect(occupancy.upgrade(try client(2), withSession: false) == nil)
        #expect(occupancy.upgrade(try client(3), withSession: true) == .connections)
        occupancy.downgrade(try client(2), withSession: false)
        #expect(occupancy.upgrade(try client(3), withSession: true) == nil)
        #expect(occupancy.webSockets == 2 && occupancy.sessions == 2)
    }

    @Test func `WebSockets are limited by address, and only the address at its limit is refused`() throws {
        let occupancy = occupancy { $0.webSocketsPerAddress = 2 }
        for _ in 0..<2 { #expect(occupancy.upgrade(try client(1), withSession: true) == nil) }
        #expect(occupancy.upgrade(try client(1), withSession: true) == .address)
        #expect(occupancy.upgrade(try client(2), withSession: true) == nil)
        occupancy.downgrade(try client(1), withSession: true)
        #expect(occupancy.upgrade(try client(1), withSession: true) == nil)
    }

    @Test func `a network of IPv6 is one address`() throws {
        let occupancy = occupancy { $0.webSocketsPerAddress = 2 }
        for host in 1...2 {
            let address = ClientAddress(try SocketAddress(ipAddress: "2001:db8::\(host)", port: 1))
            #expect(occupancy.upgrade(address, withSession: true) == nil)
        }
        #expect(occupancy.upgrade(ClientAddress(try SocketAddress(ipAddress: "2001:db8::3", port: 1)), withSession: true) == .address)
        #expect(occupancy.upgrade(ClientAddress(try SocketAddress(ipAddress: "2001:db8:0:1::3", port: 1)), withSession: true) == nil)
    }

    @Test func `sessions are limited apart from what has none`() throws {
        let occupancy = occupancy { $0.sessions = 1 }
        #expect(occupancy.upgrade(try client(1), withSession: true) == nil)
        #expect(occupancy.upgrade(try client(1), withSession: true) == .sessions)
        #expect(occupancy.upgrade(try client(1), withSession: false) == nil)
        #expect(occupancy.webSockets == 2)
        occupancy.downgrade(try client(1), withSession: true)
        #expect(occupancy.sessions == 0)
        #expect(occupancy.upgrade(try client(1), withSession: true) == nil)
    }

    @Test func `an upgrade that is refused occupies nothing`() throws {
        let occupancy = occupancy { $0.sessions = 1 }
        #expect(occupancy.upgrade(try client(1), withSession: true) == nil)
        for _ in 0..<10 { #expect(occupancy.upgrade(try client(2), withSession: true) == .sessions) }
        #expect(occupancy.webSockets == 1 && occupancy.sessions == 1)
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
        #expect(occupancy.upgrade(try client(1), withSession: true) == nil)
        occupancy.sweep(now: at(1_000_000))
        #expect(occupancy.upgrade(try client(1), withSession: true) == .address)
        occupancy.downgrade(try client(1), withSession: true)
        occupancy.release(try client(1))
        occupancy.sweep(now: at(1_000_000))
        #expect(occupancy.sockets == 0 && occupancy.webSockets == 0 && occupancy.sessions == 0)
        #expect(occupancy.upgrade(try client(1), withSession: true) == nil)
    }

    @Test func `limits can change while connections are open`() throws {
        let occupancy = occupancy { $0.webSockets = 1 }
        #expect(occupancy.upgrade(try client(1), withSession: true) == nil)
        occupancy.limits.webSockets = 2
        #expect(occupancy.upgrade(try client(1), withSession: true) == nil)
        occupancy.limits.webSockets = 1
        #expect(occupancy.upgrade(try client(1), withSession: true) == .connections)
        occupancy.downgrade(try client(1), withSession: true)
        #expect(occupancy.upgrade(try client(1), withSession: true) == .connections)
        occupancy.downgrade(try client(1), withSession: true)
        #expect(occupancy.upgrade(try client(1), withSession: true) == nil)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `whatever comes and goes, nothing is left over`(seed: UInt64) throws {
        var random = ULIDSource(seed: seed)
        let occupancy = occupancy {
            $0.webSockets = 30
            $0.webSocketsPerAddress = 5
            $0.sessions = 20
            $0.handshakesPerSecond = 50
        }
        var open: [(client: ClientAddress, session: Bool?)] = []
        var now: Int64 = 0
        for _ in 0..<5000 {
            now += Int64.random(in: 0...30, using: &random)
            let client = try client(Int.random(in: 1...9, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0..<3:
                guard occupancy.occupy(client, now: at(now)) else { break }
                let session = Bool.random(using: &random)
                open.append((client, occupancy.upgrade(client, withSession: session) == nil ? session : nil))
            case 3..<5:
                guard !open.isEmpty else { break }
                let gone = open.remove(at: Int.random(in: 0..<open.count, using: &random))
                if let session = gone.session { occupancy.downgrade(gone.client, withSession: session) }
                occupancy.release(gone.client)
            default: occupancy.sweep(now: at(now))
            }
            #expect(occupancy.sockets == open.count)
            #expect(occupancy.webSockets == open.count { $0.session != nil })
            #expect(occupancy.sessions == open.count { $0.session == true })
            #expect(occupancy.webSockets <= 30 && occupancy.sessions <= 20)
        }
    }
}

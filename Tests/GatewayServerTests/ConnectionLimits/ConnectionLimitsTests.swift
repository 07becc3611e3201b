// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOCore
import Testing

@Suite struct ConnectionLimitsTests {
    private static let off = ConnectionLimits.Policy(sockets: 0, webSockets: 0, webSocketsPerAddress: 0, handshakesPerSecond: 0)

    private func connectionLimits(_ change: (inout ConnectionLimits.Policy) -> Void = { _ in }) -> ConnectionLimits {
        var limits = Self.off
        change(&limits)
        return ConnectionLimits(policy: limits)
    }

    private func client(_ number: Int) throws -> ClientAddress {
        ClientAddress(try SocketAddress(ipAddress: "192.0.2.\(number)", port: 1))
    }

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test func `sockets are admitted up to the limit and again after a release`() throws {
        let connectionLimits = connectionLimits { $0.sockets = 2 }
        let client = try client(1)
        for _ in 0..<2 {
            #expect(connectionLimits.canAcceptSocket)
            #expect(connectionLimits.admitSocket(of: client, now: at(0)))
        }
        #expect(!connectionLimits.canAcceptSocket)
        connectionLimits.releaseSocket(of: client)
        #expect(connectionLimits.canAcceptSocket)
        #expect(connectionLimits.sockets == 1)
    }

    @Test func `WebSockets are limited in total`() throws {
        let connectionLimits = connectionLimits { $0.webSockets = 2 }
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == nil)
        #expect(connectionLimits.admitWebSocket(of: try client(2)) == nil)
        #expect(connectionLimits.admitWebSocket(of: try client(3)) == .connections)
        connectionLimits.releaseWebSocket(of: try client(2))
        #expect(connectionLimits.admitWebSocket(of: try client(3)) == nil)
        #expect(connectionLimits.webSockets == 2)
    }

    @Test func `WebSockets are limited by address, and only the address at its limit is rejected`() throws {
        let connectionLimits = connectionLimits { $0.webSocketsPerAddress = 2 }
        for _ in 0..<2 { #expect(connectionLimits.admitWebSocket(of: try client(1)) == nil) }
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == .address)
        #expect(connectionLimits.admitWebSocket(of: try client(2)) == nil)
        connectionLimits.releaseWebSocket(of: try client(1))
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == nil)
    }

    @Test func `an IPv6 network counts as one address`() throws {
        let connectionLimits = connectionLimits { $0.webSocketsPerAddress = 2 }
        for host in 1...2 {
            let address = ClientAddress(try SocketAddress(ipAddress: "2001:db8::\(host)", port: 1))
            #expect(connectionLimits.admitWebSocket(of: address) == nil)
        }
        #expect(connectionLimits.admitWebSocket(of: ClientAddress(try SocketAddress(ipAddress: "2001:db8::3", port: 1))) == .address)
        #expect(connectionLimits.admitWebSocket(of: ClientAddress(try SocketAddress(ipAddress: "2001:db8:0:1::3", port: 1))) == nil)
    }

    @Test func `a rejected upgrade isn't counted`() throws {
        let connectionLimits = connectionLimits { $0.webSockets = 1 }
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == nil)
        for _ in 0..<10 { #expect(connectionLimits.admitWebSocket(of: try client(2)) == .connections) }
        #expect(connectionLimits.webSockets == 1)
    }

    @Test func `handshakes per second are limited by address`() throws {
        let connectionLimits = connectionLimits { $0.handshakesPerSecond = 5 }
        for _ in 0..<5 { #expect(connectionLimits.admitSocket(of: try client(1), now: at(0))) }
        #expect(!connectionLimits.admitSocket(of: try client(1), now: at(199)))
        #expect(connectionLimits.admitSocket(of: try client(2), now: at(199)))
        #expect(connectionLimits.admitSocket(of: try client(1), now: at(200)))
        #expect(!connectionLimits.admitSocket(of: try client(1), now: at(200)))
        #expect(connectionLimits.sockets == 7)
    }

    @Test func `closing connections doesn't evade the handshake limit`() throws {
        let connectionLimits = connectionLimits { $0.handshakesPerSecond = 5 }
        for _ in 0..<5 {
            #expect(connectionLimits.admitSocket(of: try client(1), now: at(0)))
            connectionLimits.releaseSocket(of: try client(1))
        }
        #expect(!connectionLimits.admitSocket(of: try client(1), now: at(0)))
        connectionLimits.sweep(now: at(1999))
        #expect(connectionLimits.admitSocket(of: try client(1), now: at(1999)))
        connectionLimits.releaseSocket(of: try client(1))
        #expect(connectionLimits.sockets == 0)
    }

    @Test func `one address can't occupy the listener with handshakes`() throws {
        let connectionLimits = connectionLimits { $0.webSocketsPerAddress = 10 }
        for _ in 0..<36 { #expect(connectionLimits.admitSocket(of: try client(1), now: at(0))) }
        #expect(!connectionLimits.admitSocket(of: try client(1), now: at(0)))
        #expect(connectionLimits.admitSocket(of: try client(2), now: at(0)))
        connectionLimits.releaseSocket(of: try client(1))
        #expect(connectionLimits.admitSocket(of: try client(1), now: at(0)))
    }

    @Test func `a sweep keeps addresses with open connections`() throws {
        let connectionLimits = connectionLimits {
            $0.webSocketsPerAddress = 1
            $0.handshakesPerSecond = 100
        }
        #expect(connectionLimits.admitSocket(of: try client(1), now: at(0)))
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == nil)
        connectionLimits.sweep(now: at(1_000_000))
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == .address)
        connectionLimits.releaseWebSocket(of: try client(1))
        connectionLimits.releaseSocket(of: try client(1))
        connectionLimits.sweep(now: at(1_000_000))
        #expect(connectionLimits.sockets == 0 && connectionLimits.webSockets == 0)
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == nil)
    }

    @Test func `limits can change while connections are open`() throws {
        let connectionLimits = connectionLimits { $0.webSockets = 1 }
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == nil)
        connectionLimits.policy.webSockets = 2
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == nil)
        connectionLimits.policy.webSockets = 1
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == .connections)
        connectionLimits.releaseWebSocket(of: try client(1))
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == .connections)
        connectionLimits.releaseWebSocket(of: try client(1))
        #expect(connectionLimits.admitWebSocket(of: try client(1)) == nil)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `random connections and closes keep the counts exact`(seed: UInt64) throws {
        var random = ULIDSource(seed: seed)
        let connectionLimits = connectionLimits {
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
                guard connectionLimits.admitSocket(of: client, now: at(now)) else { break }
                open.append((client, connectionLimits.admitWebSocket(of: client) == nil))
            case 3..<5:
                guard !open.isEmpty else { break }
                let closed = open.remove(at: Int.random(in: 0..<open.count, using: &random))
                if closed.isUpgraded { connectionLimits.releaseWebSocket(of: closed.client) }
                connectionLimits.releaseSocket(of: closed.client)
            default: connectionLimits.sweep(now: at(now))
            }
            #expect(connectionLimits.sockets == open.count)
            #expect(connectionLimits.webSockets == open.count { $0.isUpgraded })
            #expect(connectionLimits.webSockets <= 30)
        }
    }
}

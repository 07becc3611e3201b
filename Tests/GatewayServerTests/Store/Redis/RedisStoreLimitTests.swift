// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

@testable import GatewayCore
@testable import GatewayServer

/// Limits over all nodes in the shared store.
@Suite struct RedisStoreLimitTests {
    private func connection(_ number: UInt64) -> ULID { ULID(high: number << 16, low: 1) }

    @Test func `at the limit the oldest connection of any node is evicted, or the new one is rejected`() async throws {
        let redis = try await RedisStoreHarness()
        let stores = [try await redis.open(node: 1), try await redis.open(node: 2)]
        let nodes = stores.map(\.node)
        func admit(_ number: UInt64, on index: Int, evictsOldest: Bool = true, maximum: Int = 3) async throws -> ConnectionAdmission {
            try await stores[index].admitConnection(
                connection(number), of: "u", resuming: nil, maximum: maximum, evictsOldest: evictsOldest, nodes: nodes)
        }
        for number in 1...3 as ClosedRange<UInt64> { #expect(try await admit(number, on: Int(number % 2)) == .admitted(evicting: [])) }
        #expect(try await admit(4, on: 0, evictsOldest: false) == .full)
        #expect(try await admit(5, on: 0) == .admitted(evicting: [.init(connection: connection(1), node: nodes[1])]))
        // The same connection counts once.
        #expect(try await admit(5, on: 0, evictsOldest: false) == .admitted(evicting: []))
        // After a reload with a lower limit.
        #expect(
            try await admit(6, on: 1, maximum: 2)
                == .admitted(evicting: [
                    .init(connection: connection(2), node: nodes[0]), .init(connection: connection(3), node: nodes[1]),
                ]))
        stores[1].releaseConnection(connection(6), of: "u")
        try await stores[1].purge()
        #expect(try await admit(7, on: 0, evictsOldest: false, maximum: 2) == .admitted(evicting: []))
        #expect(
            try await stores[0].admitConnection(
                connection(8), of: "other", resuming: nil, maximum: 1, evictsOldest: false, nodes: nodes) == .admitted(evicting: []))
        for store in stores { await store.close() }
    }

    @Test func `the connection of the resumed session doesn't count`() async throws {
        let redis = try await RedisStoreHarness()
        let store = try await redis.open()
        func admit(_ number: UInt64, resuming session: ULID?) async throws -> ConnectionAdmission {
            try await store.admitConnection(
                connection(number), of: "u", resuming: session, maximum: 1, evictsOldest: false, nodes: [store.node])
        }
        let session = ULID(high: 77, low: 7)
        #expect(try await admit(1, resuming: nil) == .admitted(evicting: []))
        #expect(try await admit(2, resuming: session) == .full)
        store.updateConnection(connection(1), of: "u", session: session)
        // An update of a connection that isn't counted has no effect.
        store.updateConnection(connection(9), of: "u", session: ULID(high: 78, low: 7))
        try await store.purge()
        #expect(try await admit(2, resuming: session) == .admitted(evicting: []))
        #expect(try await admit(3, resuming: nil) == .full)
        await store.close()
    }

    @Test func `connections of nodes that have ended are named at the limit, and count until they are removed`() async throws {
        let redis = try await RedisStoreHarness()
        let (dead, alive) = (try await redis.open(node: 1), try await redis.open(node: 2))
        func admit(_ number: UInt64, on store: RedisStore) async throws -> ConnectionAdmission {
            try await store.admitConnection(
                connection(number), of: "u", resuming: nil, maximum: 2, evictsOldest: false, nodes: [alive.node])
        }
        #expect(try await admit(1, on: dead) == .admitted(evicting: []))
        #expect(try await admit(2, on: alive) == .admitted(evicting: []))
        #expect(try await admit(3, on: alive) == .unknownNodes([dead.node]))
        try await alive.removeConnections(of: "u", on: [dead.node])
        #expect(try await admit(3, on: alive) == .admitted(evicting: []))
        #expect(try await admit(4, on: alive) == .full)
        await dead.close()
        await alive.close()
    }

    @Test func `units of a rate are granted up to the burst, then at the rate, over all nodes`() async throws {
        let redis = try await RedisStoreHarness()
        let stores = [try await redis.open(node: 1), try await redis.open(node: 2)]
        // One unit in a hundred seconds: none is earned while the test runs.
        let rate = Rate(units: 0.01, per: .seconds(1), burst: 10)
        #expect(try await stores[0].grant(4, at: rate).units == 4)
        #expect(try await stores[1].grant(4, at: rate) == (4, .zero))
        #expect(try await stores[0].grant(4, at: rate).units == 2)
        let (units, wait) = try await stores[1].grant(4, at: rate)
        #expect(units == 0 && wait > .seconds(50) && wait <= .seconds(100))
        #expect(try await stores[1].grant(4, at: .unlimited).units == 4)
        for store in stores { await store.close() }
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import Logging
import NIOCore
import Support
import Testing

@testable import GatewayCore
@testable import GatewayServer

/// The store on a cluster, and during a failover.
@Suite struct RedisStoreTopologyTests {
    private let id = ULID(high: 7, low: 7)

    @Test func `in a cluster the sessions of a batch are on several servers`() async throws {
        let servers = try await RedisServer.cluster()
        let settings = RedisSettings(mode: .cluster, endpoints: servers.map(\.endpoint))
        let (first, second) = (
            try await RedisStoreHarness.open(settings, node: 1), try await RedisStoreHarness.open(settings, node: 2)
        )
        let day = UTCDay(unixMilliseconds: WallTime.now().unixMilliseconds)
        let ids = (1...60).map { ULID(high: $0, low: 1) }
        for round in 0..<3 as Range<UInt64> {
            var batch = StoreBatch()
            for id in ids {
                batch.add(id, .history, round)
                if round == 0 { batch.setTokens([TokenHash(id.high, 0, 0, 0)], of: id) }
                batch.add(
                    UsageAmounts(messages: 1), to: UsageRow(user: "u\(id.high)", day: day, route: "", upstream: ""))
            }
            first.submit(batch) {}
        }
        try await first.purge()
        for server in servers { #expect(try await Int(server.cli("DBSIZE")) ?? 0 > 20) }
        for id in ids {
            #expect(
                try await second.locate(TokenHash(id.high, 0, 0, 0)) == .session(id, owner: first.settings.node, epoch: 1))
            guard case .claimed(let session) = try await second.claim(id, epoch: 1) else {
                Issue.record("\(id) isn't claimed")
                continue
            }
            #expect(session.records[.history]?.map(\.number) == [0, 1, 2])
        }
        let sum = try await second.sums(UsageQuery(days: day..<day.next), after: nil, limit: 1)
        #expect(sum.first?.amounts.messages == 180)
        await first.close()
        await second.close()
    }

    @Test func `after a failover by Sentinel commits continue on the new master`() async throws {
        let master = try await RedisServer()
        let replica = try await RedisServer(["--replicaof", "127.0.0.1", "\(master.port)"])
        try await replica.waitForSync()
        let sentinel = try await RedisServer(sentinelOf: master, name: "main")
        try await sentinel.wait(for: "\(replica.port)", in: "SENTINEL", "REPLICAS", "main")
        let (health, events) = (HealthRegistry(), StoreEvents())
        let store = try await RedisStoreHarness.open(
            RedisSettings(mode: .sentinel(master: "main"), endpoints: [sentinel.endpoint]), health: health
        ) { $0.redis.commandTimeout = .seconds(5) }
        events.watchLosses(of: store)
        await store.commit(StoreBatch(id, .history, 0))
        try await replica.wait(for: "4", in: "HLEN", "parley:{s:\(id)}")
        try await master.kill()
        for number in 1...20 as ClosedRange<UInt64> { events.submit(StoreBatch(id, .history, number), "\(number)", to: store) }
        try await events.wait(for: "20 committed")
        #expect(events.names.value.filter { $0.hasSuffix("committed") } == (1...20).map { "\($0) committed" })
        #expect(!events.names.value.contains { $0.hasSuffix("gone") || $0.hasSuffix("fenced") })
        #expect(try await Int(replica.cli("HLEN", "parley:{s:\(id)}")) == 24)
        try await eventually { store.acceptsWork }
        await store.close()
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import Logging
import NIOCore
import Support
import Testing

@testable import GatewayCore
@testable import GatewayServer

/// Commits, owners and losses of sessions, with a real server.
@Suite struct RedisStoreTests {
    private let id = ULID(high: 7, low: 7)
    private let token = TokenHash(1, 2, 3, .max)

    private func records(_ session: StoredSession?) -> [RecordKind: [UInt64: [UInt8]]] {
        (session?.records ?? [:]).mapValues { Dictionary(uniqueKeysWithValues: $0.map { ($0.number, $0.bytes) }) }
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func `random changes leave the same records as in memory`(seed: UInt64) async throws {
        let redis = try await RedisStoreHarness()
        let store = try await redis.open()
        var random = SplitMix64(state: seed)
        var model: [ULID: [RecordKind: [UInt64: [UInt8]]]] = [:]
        let ids = (1...3).map { ULID(high: $0, low: seed) }
        var ended: Set<ULID> = []
        for round in 0..<60 {
            var batch = StoreBatch()
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                guard let id = ids.filter({ !ended.contains($0) }).randomElement(using: &random) else { break }
                let kind = RecordKind.allCases.randomElement(using: &random) ?? .state
                // Around powers of two, where the search of wide ranges compares the halves of numbers.
                let base: UInt64 = [0, 1 << 32, 1 << 33, 1 << 63].randomElement(using: &random) ?? 0
                let number = base &+ UInt64.random(in: 0...5, using: &random)
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<6: batch.add(id, kind, number, "\(round)")
                case 6, 7: batch.remove(id, kind, number..<number + UInt64.random(in: 1...3, using: &random))
                case 8: batch.remove(id, kind, base..<base + (1 << 32))
                default:
                    guard round > 50 else { continue }
                    batch.end(id, tokens: [])
                    ended.insert(id)
                }
            }
            TestStore.apply(batch, to: &model)
            await store.commit(batch)
            for id in ids { #expect(records(try await store.loadSession(id)) == (model[id] ?? [:]).filter { !$0.value.isEmpty }) }
        }
        await store.close()
    }

    @Test func `a token locates its session until the session ends`() async throws {
        let redis = try await RedisStoreHarness()
        let store = try await redis.open()
        #expect(try await store.locate(token) == .unknown)
        var batch = StoreBatch(id)
        batch.setTokens([token], of: id)
        await store.commit(batch)
        #expect(try await store.locate(token) == .session(id, owner: store.settings.node, epoch: 1))
        var end = StoreBatch()
        end.end(id, tokens: [token])
        await store.commit(end)
        #expect(try await store.locate(token) == .ended)
        #expect(try await store.loadSession(id) == nil)
        #expect(try await Int(redis.server.cli("PTTL", "parley:{s:\(id)}")) == -2)
        await store.close()
    }

    @Test func `a claim takes over a session; a commit of the former owner is fenced and writes nothing`() async throws {
        let redis = try await RedisStoreHarness()
        let (first, second) = (try await redis.open(node: 1), try await redis.open(node: 2))
        let events = StoreEvents()
        events.watchLosses(of: first)
        var batch = StoreBatch(id, .history, 3, "hello")
        batch.setTokens([token], of: id)
        await first.commit(batch)
        #expect(try await second.claim(id, epoch: 2).owner == first.settings.node)
        guard case .claimed(let session) = try await second.claim(id, epoch: 1) else {
            Issue.record("not claimed")
            return
        }
        #expect(records(session) == [.history: [3: Array("hello".utf8)]])
        #expect(try await second.locate(token) == .session(id, owner: second.settings.node, epoch: 2))
        #expect(try await second.claim(id, epoch: 2).owner == second.settings.node)
        #expect(try await second.claim(ULID(high: 9, low: 9), epoch: 1).owner == nil)

        events.submit(StoreBatch(id, .history, 4, "late"), "late", to: first)
        try await events.wait(for: "late committed")
        #expect(events.names.value == ["7 fenced", "late committed"])
        // Later changes don't create the session again.
        events.submit(StoreBatch(id, .state, 0, "later"), "later", to: first)
        try await events.wait(for: "later committed")
        await second.commit(StoreBatch(id, .history, 5, "new"))
        #expect(records(try await first.loadSession(id))[.history]?.keys.sorted() == [3, 5])
        #expect(first.acceptsWork)
        await first.close()
        await second.close()
    }

    @Test func `of parallel claims by ten nodes one succeeds, a hundred times`() async throws {
        let redis = try await RedisStoreHarness()
        let owner = try await redis.open(node: 100)
        var batch = StoreBatch()
        let ids = (1...100).map { ULID(high: $0, low: 5) }
        for id in ids { batch.add(id) }
        await owner.commit(batch)
        var nodes: [RedisStore] = []
        for node in 1...10 as ClosedRange<UInt64> { nodes.append(try await redis.open(node: node)) }
        let owners = try await withThrowingTaskGroup(of: (ULID, Bool).self) { group in
            for id in ids {
                for node in nodes {
                    group.addTask { if case .claimed = try await node.claim(id, epoch: 1) { (id, true) } else { (id, false) } }
                }
            }
            var owners: [ULID: Int] = [:]
            for try await (id, isOwner) in group where isOwner { owners[id, default: 0] += 1 }
            return owners
        }
        #expect(owners.count == 100 && owners.values.allSatisfy { $0 == 1 })
        for node in nodes + [owner] { await node.close() }
    }

    @Test func `of two claims of one node at the same time one succeeds`() async throws {
        let redis = try await RedisStoreHarness()
        let (first, second) = (try await redis.open(node: 1), try await redis.open(node: 2))
        await first.commit(StoreBatch(id))
        async let one = second.claim(id, epoch: 1)
        async let two = second.claim(id, epoch: 1)
        let claimed = try await [one, two].filter { if case .claimed = $0 { true } else { false } }
        #expect(claimed.count == 1)
        await first.close()
        await second.close()
    }

    @Test func `a hand-over follows all earlier batches, and later changes of the former owner are dropped`() async throws {
        let redis = try await RedisStoreHarness()
        let (first, second) = (try await redis.open(node: 1), try await redis.open(node: 2))
        for number in 0..<200 as Range<UInt64> { first.submit(StoreBatch(id, .history, number)) {} }
        let epoch = try await first.handOver(id, to: second.settings.node)
        #expect(epoch == 2)
        #expect(try await redis.fields(id) == 203)
        second.adopt(id, epoch: 2)
        await first.commit(StoreBatch(id, .history, 500))
        await second.commit(StoreBatch(id, .history, 200))
        #expect(try await redis.fields(id) == 204)
        #expect(try await first.handOver(id, to: second.settings.node) == nil)
        // And back.
        #expect(try await second.handOver(id, to: first.settings.node) == 3)
        first.adopt(id, epoch: 3)
        await first.commit(StoreBatch(id, .history, 201))
        #expect(try await redis.fields(id) == 205)
        await first.close()
        await second.close()
    }

    @Test func `sessions are lost with the contents of the store, and new ones can be stored`() async throws {
        let redis = try await RedisStoreHarness()
        let store = try await redis.open()
        let events = StoreEvents()
        events.watchLosses(of: store)
        await store.commit(StoreBatch(id))
        try await redis.server.cli("FLUSHALL")
        events.submit(StoreBatch(id, .history, 1), "second", to: store)
        try await events.wait(for: "second committed")
        #expect(events.names.value == ["7 gone", "second committed"])
        #expect(try await store.loadSession(id) == nil)
        await store.commit(StoreBatch(ULID(high: 8, low: 0)))
        #expect(try await redis.fields(ULID(high: 8, low: 0)) == 4)
        await store.close()
    }

    @Test func `after a restart of the server without its data idle sessions are lost, too`() async throws {
        let redis = try await RedisStoreHarness()
        let log = LogRecorder()
        let store = try await redis.open(log: log)
        let events = StoreEvents()
        events.watchLosses(of: store)
        await store.commit(StoreBatch(id))
        try await redis.server.kill()
        try await redis.server.restart()
        try await events.wait(for: "7 gone")
        try await eventually { store.acceptsWork }
        #expect(log.linesWithLevel.contains { $0.hasPrefix("error the store lost its contents: checking all sessions") })
        #expect(log.linesWithLevel.contains { $0.hasPrefix("error session dropped: the store lost it") })
        await store.close()
    }

    @Test func `a session is lost when the store lost its last acknowledged commits`() async throws {
        let redis = try await RedisStoreHarness()
        let store = try await redis.open()
        let events = StoreEvents()
        events.watchLosses(of: store)
        for number in 0..<3 as Range<UInt64> { await store.commit(StoreBatch(id, .history, number)) }
        // As after a failover to a replica that didn't have the last commit.
        try await redis.server.cli("HSET", "parley:{s:\(id)}", "q", "2")
        events.submit(StoreBatch(id, .history, 3), "fourth", to: store)
        try await events.wait(for: "fourth committed")
        #expect(events.names.value == ["7 gone", "fourth committed"])
        try await eventually { try await store.loadSession(id) == nil }
        await store.close()
    }

    @Test func `a refresh extends the lives of a session and its token, and finds a loss`() async throws {
        let redis = try await RedisStoreHarness()
        let store = try await redis.open()
        let events = StoreEvents()
        events.watchLosses(of: store)
        var batch = StoreBatch(id)
        batch.setTokens([token], of: id)
        await store.commit(batch)
        func lifetimes() async throws -> [Int] {
            [
                Int(try await redis.server.cli("PTTL", "parley:{s:\(id)}")) ?? 0,
                Int(
                    try await redis.server.cli("EVAL", "return redis.call('PTTL', redis.call('KEYS', '*{t:*')[1])", "0")
                        .replacing("(integer) ", with: "")) ?? 0,
            ]
        }
        #expect(try await lifetimes().allSatisfy { (3_000_000...3_600_000).contains($0) })
        try await redis.server.cli("EVAL", "for _, k in ipairs(redis.call('KEYS', '*{*:*')) do redis.call('PEXPIRE', k, 60000) end", "0")
        #expect(try await lifetimes().allSatisfy { $0 <= 60_000 })
        let committer = store.committer
        func refresh() async throws { try await store.client.eventLoop.submit { committer.value.refreshAll() }.get() }
        try await refresh()
        try await eventually { try await lifetimes().allSatisfy { $0 > 3_000_000 } }
        try await redis.server.cli("DEL", "parley:{s:\(id)}")
        try await refresh()
        try await events.wait(for: "7 gone")
        await store.close()
    }
}

extension ClaimResult {
    /// The owner of a session that wasn't claimed.
    var owner: ULID? { if case .owned(let owner, _) = self { owner } else { nil } }
}

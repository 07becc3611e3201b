// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

@testable import GatewayCore
@testable import GatewayServer

/// Nodes, usage and tokens in the shared store.
@Suite struct RedisStoreAccountTests {
    private let wall: Int64 = WallTime.now().unixMilliseconds
    private var today: UTCDay { UTCDay(unixMilliseconds: wall) }

    private func usage(_ store: RedisStore, of user: String) async -> PeriodUsage {
        await withCheckedContinuation { continuation in store.loadUsage(of: user, wall: wall) { continuation.resume(returning: $0) } }
    }

    private func amounts(_ messages: Int64, tokens: Int64 = 0) -> UsageAmounts {
        var amounts = UsageAmounts(messages: messages)
        amounts.outputTokens = tokens
        return amounts
    }

    @Test func `usage of all nodes adds up, and a query sees what was submitted before`() async throws {
        let redis = try await RedisStoreHarness()
        let (first, second) = (try await redis.open(node: 1), try await redis.open(node: 2))
        let row = UsageRow(user: "ann} b", day: today, route: "talk", upstream: "chat")
        var batch = StoreBatch()
        batch.add(amounts(2, tokens: 100), to: row)
        await first.commit(batch)
        for _ in 0..<5 {
            var batch = StoreBatch()
            batch.add(amounts(1, tokens: -10), to: row)
            second.submit(batch) {}
        }
        let seen = await usage(second, of: "ann} b")
        #expect(seen.day == amounts(7, tokens: 50) && seen.month == amounts(7, tokens: 50))
        #expect(await usage(first, of: "nobody").month == .zero)
        #expect(try first.load().isEmpty && first.loadAccounts(wall: wall).usage.isEmpty)
        await first.close()
        await second.close()
    }

    @Test func `a new account gets its earlier usage and keeps what was charged meanwhile`() async throws {
        let redis = try await RedisStoreHarness()
        let store = try await redis.open()
        let row = UsageRow(user: "u", day: today, route: "", upstream: "")
        var batch = StoreBatch()
        batch.add(amounts(3), to: row)
        await store.commit(batch)
        let table = UsageTable(source: store)
        let account = table.account(of: "u", wall: wall)
        // Charged and stored after the query was sent.
        account.add(amounts(1), wall: wall)
        var charge = StoreBatch()
        charge.add(amounts(1), to: row)
        store.submit(charge) {}
        try await eventually { account.usage(wall: wall).month.messages == 4 }
        try await store.purge()
        #expect(account.usage(wall: wall).day.messages == 4)
        await store.close()
    }

    @Test func `sums are grouped, sorted, filtered and continued after a group, as in memory`() async throws {
        let redis = try await RedisStoreHarness()
        let (store, ledger) = (try await redis.open(), UsageLedger())
        var batch = StoreBatch()
        for day in 0..<3 as Range<Int32> {
            for user in ["a", "b", "=c"] {
                for upstream in ["chat", "voice", ""] {
                    let row = UsageRow(
                        user: user, day: try #require(UTCDay(number: Int64(today.number - day))), route: "talk", upstream: upstream)
                    batch.add(amounts(1, tokens: Int64(day)), to: row)
                    ledger.add(amounts(1, tokens: Int64(day)), to: row)
                }
            }
        }
        await store.commit(batch)
        var query = UsageQuery(days: today.monthStart(addingMonths: -1)..<today.next)
        for grouping: [UsageQuery.Column] in [[], [.user], [.day], [.upstream, .user], [.day, .route, .upstream, .user]] {
            query.grouping = grouping
            for user in [nil, "b"] {
                query.user = user
                let all = try await store.sums(query, after: nil, limit: 100)
                #expect(all == (try await ledger.sums(query, after: nil, limit: 100)), "\(query)")
                for sum in all.dropLast() {
                    #expect(try await store.sums(query, after: sum.values, limit: 2) == ledger.sums(query, after: sum.values, limit: 2))
                }
            }
        }
        await store.close()
    }

    @Test func `uses of a token are spent over all nodes`() async throws {
        let redis = try await RedisStoreHarness()
        let (first, second) = (try await redis.open(node: 1), try await redis.open(node: 2))
        let until = wall + 60_000
        let spent = try await withThrowingTaskGroup(of: Int?.self) { group in
            for store in [first, second] {
                for _ in 0..<20 { group.addTask { try await store.spend("jti", of: 7, until: until) } }
            }
            var spent: [Int] = []
            for try await number in group { if let number { spent.append(number) } }
            return spent
        }
        #expect(spent.sorted() == Array(1...7))
        let lifetime = try #require(Int(try await redis.server.cli("PTTL", "parley:{use:jti}")))
        #expect((1...60_000).contains(lifetime))
        await first.close()
        await second.close()
    }

    @Test func `revocations are loaded at the start, and later ones are found`() async throws {
        let redis = try await RedisStoreHarness()
        let first = try await redis.open(node: 1)
        let kept = Revocations.Entry(user: "u", before: wall, until: wall + 600_000)
        var batch = StoreBatch()
        batch.add(.revoke(kept))
        batch.add(.revoke(Revocations.Entry(user: "u", before: wall - 5, until: wall + 300_000)))
        batch.add(.revoke(Revocations.Entry(user: "removed", before: wall, until: wall + 600_000)))
        batch.add(.revoke(Revocations.Entry(user: "forever", before: wall, until: .max)))
        batch.add(.removeRevocation(user: "removed"))
        batch.add(.useToken(TokenUses.Entry(tokenID: "t", spent: 2, until: wall + 600_000)))
        await first.commit(batch)
        #expect(try await first.spend("t", of: 3, until: wall + 600_000) == 3)
        let second = try await redis.open(node: 2)
        let loaded = try second.loadAccounts(wall: wall).revocations
        #expect(Set(loaded.map(\.user)) == ["u", "forever"] && loaded.contains(kept))
        let (all, time) = try await second.revocations(since: nil)
        #expect(Set(all.map(\.user)) == ["u", "forever"] && all.contains(kept))
        let later = Revocations.Entry(user: "later", before: wall, until: wall + 600_000)
        var next = StoreBatch()
        next.add(.revoke(later))
        await first.commit(next)
        let (changed, end) = try await second.revocations(since: time)
        #expect(changed.contains(later) && end >= time)
        // Nothing is older than the tolerance for another clock.
        #expect(try await second.revocations(since: end + 120_000).entries.isEmpty)
        await first.close()
        await second.close()
    }

    @Test func `a returned use can be spent again, and none is returned that wasn't spent`() async throws {
        let redis = try await RedisStoreHarness()
        let store = try await redis.open()
        let until = wall + 60_000
        #expect(try await store.spend("t", of: 1, until: until) == 1)
        #expect(try await store.spend("t", of: 1, until: until) == nil)
        for _ in 0..<2 { store.refund("t") }
        try await store.purge()
        #expect(try await store.spend("t", of: 1, until: until) == 1)
        #expect(try await store.spend("t", of: 1, until: until) == nil)
        await store.close()
    }

    @Test func `the first key that signs minted tokens is kept`() async throws {
        let redis = try await RedisStoreHarness()
        let (first, second) = (try await redis.open(node: 1), try await redis.open(node: 2))
        #expect(try await first.mintingKey(proposing: "k1", pem: "one") == ("k1", "one"))
        #expect(try await second.mintingKey(proposing: "k2", pem: "two") == ("k1", "one"))
        await first.close()
        await second.close()
    }

    @Test func `stored usage is reported in its order, with the part that this node has added`() async throws {
        let redis = try await RedisStoreHarness()
        let (first, second) = (try await redis.open(node: 1), try await redis.open(node: 2))
        let account = UserAccount(user: "u")
        second.setUsageHandler { _, day, total, own in account.update(stored: total, including: own, on: day) }
        let row = UsageRow(user: "u", day: today, route: "", upstream: "")
        for _ in 0..<3 {
            var batch = StoreBatch()
            batch.add(amounts(2), to: row)
            await first.commit(batch)
            account.add(amounts(1), wall: wall)
            batch = StoreBatch()
            batch.add(amounts(1), to: row)
            await second.commit(batch)
        }
        #expect(account.usage(wall: wall).day == amounts(9) && account.usage(wall: wall).month == amounts(9))
        var batch = StoreBatch()
        batch.add(amounts(5), to: row)
        await first.commit(batch)
        second.queryUsage(of: "u", on: today)
        try await second.purge()
        #expect(account.usage(wall: wall).day == amounts(14))
        await first.close()
        await second.close()
    }

    @Test func `nodes are listed while their leases last, and a name has one process`() async throws {
        let redis = try await RedisStoreHarness()
        let store = try await redis.open()
        var first = NodeRecord(name: "a", id: ULID(high: 1, low: 1), address: "10.0.0.1:9", load: 5, started: 7)
        let second = NodeRecord(name: "b", id: ULID(high: 2, low: 1), address: "10.0.0.2:9", started: 8)
        #expect(try await store.announce(first, lease: .seconds(60), replaces: false))
        #expect(try await store.announce(second, lease: .seconds(60), replaces: false))
        first.load = 6
        #expect(try await store.announce(first, lease: .seconds(60), replaces: false))
        #expect(try await Set(store.nodes()) == [first, second])
        var successor = first
        successor.id = ULID(high: 3, low: 1)
        #expect(try await !store.announce(successor, lease: .seconds(60), replaces: false))
        #expect(try await store.announce(successor, lease: .seconds(60), replaces: true))
        #expect(try await !store.announce(first, lease: .seconds(60), replaces: false))
        try await store.withdraw(first)
        #expect(try await Set(store.nodes()) == [successor, second])
        try await store.withdraw(second)
        #expect(try await store.announce(successor, lease: .milliseconds(1), replaces: false))
        try await eventually { try await store.nodes().isEmpty }
        await store.close()
    }
}

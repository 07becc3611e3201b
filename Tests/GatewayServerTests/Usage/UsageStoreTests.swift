// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Logging
import Support
import Synchronization
import Testing

@testable import GatewayServer

/// Usage and the records of tokens in the SQLite store.
@Suite struct UsageStoreTests {
    private static let wall: Int64 = 1_709_208_000_000  // 2024-02-29T12:00:00Z
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func store(_ name: String = "parley.sqlite") throws -> SQLiteStore {
        try SQLiteStore(
            path: directory.path + "/" + name, synchronous: .off, maximumBytes: 0, health: HealthRegistry(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    private func submit(_ batch: StoreBatch, to store: SQLiteStore) async {
        await withCheckedContinuation { continuation in store.submit(batch) { continuation.resume() } }
    }

    private func amounts(_ messages: Int64, tokens: Int64 = 0) -> UsageAmounts {
        var amounts = UsageAmounts(messages: messages)
        amounts.outputTokens = tokens
        return amounts
    }

    private func row(_ user: String, _ day: Int32, _ upstream: String = "chat") throws -> UsageRow {
        UsageRow(user: user, day: try #require(UTCDay(number: Int64(day))), route: "talk", upstream: upstream)
    }

    private var today: UTCDay { UTCDay(unixMilliseconds: Self.wall) }

    @Test func `amounts add up over commits, and the current day and month are loaded at startup`() async throws {
        let first = try store()
        for _ in 0..<3 {
            var batch = StoreBatch()
            batch.add(amounts(1, tokens: 10), to: try row("u1", today.number))
            batch.add(amounts(1), to: try row("u1", today.number - 1))
            batch.add(amounts(1), to: try row("u1", today.number - 29))
            batch.add(amounts(2), to: try row("u2", today.number, ""))
            #expect(!batch.isEmpty)
            await submit(batch, to: first)
        }
        await first.close()
        let second = try store()
        let usage = try second.loadAccounts(wall: Self.wall).usage
        #expect(usage.count == 2)
        #expect(usage["u1"]?.day == amounts(3, tokens: 30))
        #expect(usage["u1"]?.month == amounts(6, tokens: 30))
        #expect(usage["u2"]?.day.messages == 6)
        let tomorrow = try second.loadAccounts(wall: Self.wall + 86_400_000).usage
        #expect(tomorrow.isEmpty)
        await second.close()
    }

    @Test func `a correction is subtracted`() async throws {
        let store = try self.store()
        for tokens: Int64 in [100, -40] {
            var batch = StoreBatch()
            batch.add(amounts(0, tokens: tokens), to: try row("u1", today.number))
            await submit(batch, to: store)
        }
        #expect(try store.loadAccounts(wall: Self.wall).usage["u1"]?.month.outputTokens == 60)
        await store.close()
    }

    @Test func `sums are grouped, sorted, filtered and continued after a group, as in memory`() async throws {
        let (store, ledger) = (try self.store(), UsageLedger())
        var batch = StoreBatch()
        for day in 0..<3 {
            for user in ["a", "b", "=c"] {
                for upstream in ["chat", "voice"] {
                    let row = try self.row(user, today.number - Int32(day), upstream)
                    batch.add(amounts(1, tokens: Int64(day)), to: row)
                    ledger.add(amounts(1, tokens: Int64(day)), to: row)
                }
            }
        }
        await submit(batch, to: store)
        var queries = [UsageQuery(days: today..<today.next)]
        var query = UsageQuery(days: today.monthStart..<today.next)
        queries.append(query)
        for grouping: [UsageQuery.Column] in [[.user], [.day], [.upstream, .user], [.day, .route, .upstream, .user]] {
            query.grouping = grouping
            query.user = nil
            queries.append(query)
            query.user = "b"
            queries.append(query)
        }
        for query in queries {
            let all = try await store.sums(query, after: nil, limit: 100)
            #expect(all == (try await ledger.sums(query, after: nil, limit: 100)), "\(query)")
            #expect(all.reduce(0) { $0 + $1.amounts.messages } == (query.user == nil ? (query.days.lowerBound == today ? 6 : 18) : 6))
            guard !query.grouping.isEmpty else { continue }
            var (paged, after): ([UsageSum], [String]?) = ([], nil)
            repeat {
                let page = try await store.sums(query, after: after, limit: 2)
                #expect(page == (try await ledger.sums(query, after: after, limit: 2)))
                paged += page
                after = page.last?.values
            } while after != nil
            #expect(paged == all)
        }
        await store.close()
    }

    @Test func `rows older than 13 months and expired records of tokens are removed`() async throws {
        let store = try self.store()
        let now = WallTime.now().unixMilliseconds
        let first = UsageRow.firstKeptDay(wall: now)
        var batch = StoreBatch()
        for offset in -2500..<0 { batch.add(amounts(1), to: try row("u1", first.number + Int32(offset))) }
        batch.add(amounts(1), to: try row("u1", first.number))
        batch.add(.useToken(TokenUses.Entry(tokenID: "old", spent: 1, until: now - 1)))
        batch.add(.revoke(Revocations.Entry(user: "u1", before: 1, until: now - 1)))
        batch.add(.useToken(TokenUses.Entry(tokenID: "new", spent: 1, until: now + 60_000)))
        await submit(batch, to: store)
        store.removeExpiredRows()
        let left = try await store.sums(
            UsageQuery(days: UTCDay(unixMilliseconds: 0)..<UTCDay(unixMilliseconds: now).next), after: nil, limit: 9)
        #expect(left.map(\.amounts.messages) == [1])
        let records = try store.loadAccounts(wall: 0)
        #expect(records.tokenUses.map(\.tokenID) == ["new"] && records.revocations.isEmpty)
        await store.close()
    }

    @Test func `the highest number of uses and the latest revocation are kept`() async throws {
        let store = try self.store()
        for (spent, before): (Int64, Int64) in [(1, 100), (3, 300), (2, 200)] {
            var batch = StoreBatch()
            batch.add(.useToken(TokenUses.Entry(tokenID: "t1", spent: Int(spent), until: Self.wall + spent)))
            batch.add(.revoke(Revocations.Entry(user: "u1", before: before, until: Self.wall + before)))
            await submit(batch, to: store)
        }
        let records = try store.loadAccounts(wall: Self.wall)
        #expect(records.tokenUses == [TokenUses.Entry(tokenID: "t1", spent: 3, until: Self.wall + 3)])
        #expect(records.revocations == [Revocations.Entry(user: "u1", before: 300, until: Self.wall + 300)])
        var batch = StoreBatch()
        batch.add(.removeToken(id: "t1"))
        batch.add(.removeRevocation(user: "u1"))
        await submit(batch, to: store)
        #expect(try store.loadAccounts(wall: Self.wall).tokenUses.isEmpty)
        #expect(try store.loadAccounts(wall: Self.wall).revocations.isEmpty)
        await store.close()
    }

    /// A batch with one session that has accepted one message, charged to the user.
    private static func message(_ id: ULID, of account: UserAccount) -> StoreBatch {
        var effects = Effects(ids: ULIDSource(seed: 1), showsDetails: false)
        effects.batch = StoreBatch()
        effects.wall = wall
        var session = Session(id: id, policy: SharedPolicy(SessionPolicy()), global: SharedLimiter(), now: effects.now, wall: wall)
        session.setAccount(account)
        var scanner = MessageScanner(rules: ValidationRules())
        Array(#"{"type":"text","id":"a","text":"hello"}"#.utf8).withRawSpan {
            session.receive(text: $0, scanner: &scanner, effects: &effects)
        }
        session.store(effects: &effects)
        return effects.batch ?? StoreBatch()
    }

    /// Copies the files, as SIGKILL leaves them, without the memory of the process. Called on the writer's thread between two commits.
    private static func copy(_ directory: String, to name: String) {
        for suffix in ["", "-wal"] {
            try? FileManager.default.copyItem(
                atPath: directory + "/parley.sqlite" + suffix, toPath: directory + "/" + name + suffix)
        }
    }

    /// The number of commits, and the copies with the number of commits before each.
    private final class Progress: Sendable {
        let committed = Atomic<Int>(0)
        let copies = Mutex<[String: Int]>([:])
    }

    @Test func `a copy of the files at any moment has the usage of exactly the messages that it has`() async throws {
        let store = try self.store()
        let path = directory.path
        let progress = Progress()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                group.addTask {
                    for message in 0..<10 {
                        let batch = Self.message(ULID(high: UInt64(number), low: UInt64(message)), of: UserAccount(user: "u1"))
                        await withCheckedContinuation { continuation in
                            store.submit(batch) {
                                let count = progress.committed.add(1, ordering: .relaxed).newValue
                                if count % 90 == 1 {
                                    Self.copy(path, to: "copy\(count).sqlite")
                                    progress.copies.withLock { $0["copy\(count).sqlite"] = count }
                                }
                                continuation.resume()
                            }
                        }
                    }
                }
            }
        }
        let made = progress.copies.withLock { $0 }
        #expect(made.count == 6)
        for (name, count) in made {
            let restored = try self.store(name)
            let (sessions, usage) = (try restored.load().count, try restored.loadAccounts(wall: Self.wall).usage["u1"]?.day.messages ?? 0)
            #expect(sessions >= count && usage == Int64(sessions), "\(name): \(sessions) sessions, \(usage) messages")
            await restored.close()
        }
        #expect(try store.loadAccounts(wall: Self.wall).usage["u1"]?.day.messages == 500)
        await store.close()
    }
}

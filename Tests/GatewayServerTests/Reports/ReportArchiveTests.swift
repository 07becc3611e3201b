// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import GatewayCore
import Logging
import Support
import Testing

@testable import GatewayServer

@Suite struct ReportArchiveTests {
    private static func report(_ number: UInt64, endedAt: Int64, text: String = "x", of client: UInt64? = nil) -> SessionReport {
        var report = SessionReport(id: ULID(high: number, low: 0), startedAt: 1, lastMessageAt: 2)
        if let client { report.client = .address(high: 0, low: client) }
        (report.endedAt, report.ending) = (endedAt, .expired)
        report.lines = [.init(tag: .init(.client, at: 1), text: Array(text.utf8), textBytes: text.utf8.count)]
        return report
    }

    private static func store(_ directory: TemporaryDirectory, maximumBytes: Int = 0) throws -> SQLiteStore {
        try SQLiteStore(
            path: directory.path + "/sessions.sqlite", synchronous: .off, maximumBytes: maximumBytes, health: HealthRegistry(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private static func patch(_ json: String) throws -> SessionAnnotationPatch { try SessionAnnotationPatch(json: Array(json.utf8)) }

    /// Runs a test with all archives.
    private func withEach(_ body: (any ReportArchive) async throws -> Void) async throws {
        try await body(MemoryArchive())
        let directory = try TemporaryDirectory()
        let store = try Self.store(directory)
        try await body(store)
        await store.close()
        withExtendedLifetime(directory) {}
        let redis = try await RedisStoreHarness()
        let shared = try await redis.open()
        try await body(shared)
        await shared.close()
    }

    /// Waits until submitted reports are in the store.
    private func waitUntilStored(_ archive: any ReportArchive) async { try? await (archive as? any SessionStore)?.purge() }

    @Test func `reports are stored, listed in the order of their ids, and erased`() async throws {
        try await withEach { (archive) async throws in
            for number: UInt64 in [3, 1, 2] { archive.keep(Self.report(number, endedAt: 10)) }
            await waitUntilStored(archive)
            let id = ULID(high: 2, low: 0)
            #expect(try await archive.report(of: id) == Self.report(2, endedAt: 10))
            let page = try await archive.reports(after: nil, limit: 2)
            #expect(page.map(\.id.high) == [1, 2] && page.allSatisfy(\.lines.isEmpty))
            #expect(try await archive.reports(after: id, limit: 2).map(\.id.high) == [3])
            #expect(try await archive.erase(id))
            #expect(try await !archive.erase(id))
            #expect(try await archive.report(of: id) == nil)
            #expect(try await archive.reports(after: nil, limit: 9).map(\.id.high) == [1, 3])
        }
    }

    @Test func `a report replaces an earlier one of the same session`() async throws {
        try await withEach { (archive) async throws in
            archive.keep(Self.report(1, endedAt: 10))
            archive.keep(Self.report(1, endedAt: 20, text: "y"))
            await waitUntilStored(archive)
            #expect(try await archive.report(of: ULID(high: 1, low: 0)) == Self.report(1, endedAt: 20, text: "y"))
            #expect(try await archive.reports(after: nil, limit: 9).count == 1)
        }
    }

    @Test func `a sweep removes reports that ended before a time, and their annotations`() async throws {
        try await withEach { (archive) async throws in
            for number: UInt64 in 1...3 { archive.keep(Self.report(number, endedAt: Int64(number) * 10)) }
            await waitUntilStored(archive)
            let ids = (1...3).map { ULID(high: $0, low: 0) }
            for id in ids { #expect(try await archive.annotate(id, Self.patch(#"{"title":"a"}"#))) }
            archive.sweep(endedBefore: 20)
            await waitUntilStored(archive)
            #expect(try await archive.reports(after: nil, limit: 9).map(\.id) == Array(ids[1...]))
            #expect(try await archive.annotations(of: Array(ids[1...])).count == 2)
            #expect(try await archive.report(of: ids[0]) == nil)
            #expect(try await !archive.hasReport(of: ids[0]))
            #expect(try await archive.hasReport(of: ids[1]))
        }
    }

    @Test func `annotations are stored, replaced and removed`() async throws {
        try await withEach { (archive) async throws in
            let (first, second) = (ULID(high: 1, low: 0), ULID(high: 2, low: 0))
            archive.keep(Self.report(1, endedAt: 10))
            await waitUntilStored(archive)
            #expect(try await archive.annotate(first, Self.patch(#"{"title":"t","tags":["a","b"],"notes":"n"}"#)))
            #expect(
                try await archive.annotations(of: [first, second]) == [first: SessionAnnotation(title: "t", tags: ["a", "b"], notes: "n")])
            #expect(try await archive.annotate(first, Self.patch(#"{"tags":["c"]}"#)))
            #expect(try await archive.annotations(of: [first])[first] == SessionAnnotation(title: "t", tags: ["c"], notes: "n"))
            #expect(try await archive.annotate(first, Self.patch(#"{"title":null,"tags":null,"notes":null}"#)))
            #expect(try await archive.annotations(of: [first]).isEmpty)
            #expect(try await archive.annotations(of: []).isEmpty)
        }
    }

    @Test func `in memory the oldest reports are evicted by number and by bytes`() {
        let few = MemoryArchive(maximumCount: 2)
        for number: UInt64 in [9, 8, 7] { few.keep(Self.report(number, endedAt: 10)) }
        #expect(few.reports(after: nil, limit: 9).map(\.id.high) == [7, 8])
        let small = MemoryArchive(maximumBytes: 10_000)
        let text = String(repeating: "x", count: 4000)
        for number: UInt64 in 1...3 { small.keep(Self.report(number, endedAt: 10, text: text)) }
        #expect(small.reports(after: nil, limit: 9).map(\.id.high) == [2, 3])
        small.keep(Self.report(4, endedAt: 10, text: String(repeating: "x", count: 10_000)))
        #expect(small.report(of: ULID(high: 4, low: 0)) == nil && small.reports(after: nil, limit: 9).count == 2)
    }

    @Test func `in memory a flood of reports from one address evicts its own`() {
        let archive = MemoryArchive(maximumCount: 10)
        for number: UInt64 in 1...3 { archive.keep(Self.report(number, endedAt: 1, of: 1)) }
        for number: UInt64 in 11...100 { archive.keep(Self.report(number, endedAt: 2, of: 2)) }
        #expect(archive.reports(after: nil, limit: 99).map(\.id.high) == [1, 2, 3] + Array(94...100))
        // A new address's report replaces one of the address with the largest share.
        archive.keep(Self.report(200, endedAt: 3, of: 3))
        #expect(archive.reports(after: nil, limit: 99).map(\.id.high) == [1, 2, 3] + Array(95...100) + [200])
        // If each address has one report, the oldest is evicted.
        let even = MemoryArchive(maximumCount: 3)
        for number: UInt64 in 1...5 { even.keep(Self.report(number, endedAt: 1, of: number)) }
        #expect(even.reports(after: nil, limit: 9).map(\.id.high) == [3, 4, 5])
    }

    @Test func `in memory an address with large reports evicts its own, by bytes`() {
        let archive = MemoryArchive(maximumBytes: 30_000)
        let long = String(repeating: "x", count: 8000)
        for number: UInt64 in 1...5 { archive.keep(Self.report(number, endedAt: 1, of: 1)) }
        for number: UInt64 in 11...20 { archive.keep(Self.report(number, endedAt: 2, text: long, of: 2)) }
        let kept = archive.reports(after: nil, limit: 99).map(\.id.high)
        #expect(kept.starts(with: [1, 2, 3, 4, 5]) && kept.last == 20)
    }

    @Test func `a full store deletes reports of the address with the largest share, the oldest first`() async throws {
        let directory = try TemporaryDirectory()
        let store = try Self.store(directory, maximumBytes: 600_000)
        let text = String(repeating: "x", count: 50_000)
        for number: UInt64 in 1...3 { store.keep(Self.report(number, endedAt: Int64(number), text: text, of: 1)) }
        try await store.purge()
        for number: UInt64 in 11...60 {
            store.keep(Self.report(number, endedAt: Int64(number), text: text, of: 2))
            try await store.purge()
        }
        let kept = try await store.reports(after: nil, limit: 99).map(\.id.high)
        #expect(kept.starts(with: [1, 2, 3]) && kept.last == 60, "\(kept)")
        #expect(store.acceptsWork)
        await store.close()
        withExtendedLifetime(directory) {}
    }

    @Test func `migration computes the sizes of an earlier version's reports`() async throws {
        let directory = try TemporaryDirectory()
        let database = try DatabaseQueue(path: directory.path + "/sessions.sqlite")
        try SQLiteStore.migrator.migrate(database, upTo: "reports")
        let old = Self.report(1, endedAt: 10)
        try await database.write { database in
            try database.execute(sql: "PRAGMA application_id = \(SQLiteStore.applicationID)")
            try database.execute(
                sql: "INSERT INTO report (session, ended, head, body) VALUES (?, ?, ?, ?)",
                arguments: [old.id.stored, 10, Data(old.head()), Data(old.body())])
        }
        try database.close()
        let store = try Self.store(directory)
        #expect(try await store.report(of: old.id) == old)
        let size = try await store.database.read { try Int.fetchOne($0, sql: "SELECT size FROM report WHERE client IS NULL") }
        #expect(size == old.head().count + old.body().count)
        #expect(store.evictReports())
        #expect(try await store.report(of: old.id) == nil)
        await store.close()
    }

    @Test func `reports and the tokens of ended sessions survive a restart`() async throws {
        let directory = try TemporaryDirectory()
        let store = try Self.store(directory)
        store.keep(Self.report(1, endedAt: 10))
        var batch = StoreBatch()
        batch.end(ULID(high: 1, low: 0), tokens: [TokenHash(1, 2, 3, 4), TokenHash(5, 6, 7, .max)])
        store.submit(batch) {}
        try await store.purge()
        await store.close()
        let next = try Self.store(directory)
        #expect(try await next.report(of: ULID(high: 1, low: 0)) == Self.report(1, endedAt: 10))
        #expect(try next.loadEndedTokens() == [TokenHash(1, 2, 3, 4), TokenHash(5, 6, 7, .max)])
        #expect(try next.load().isEmpty)
        await next.close()
    }

    @Test func `an unknown session can't be annotated, and erasing a session removes its annotation`() async throws {
        let directory = try TemporaryDirectory()
        let store = try Self.store(directory)
        let id = ULID(high: 1, low: 0)
        #expect(try await !store.annotate(id, Self.patch(#"{"title":"a"}"#)))
        store.keep(Self.report(1, endedAt: 10))
        // The report is visible immediately.
        #expect(try await store.hasReport(of: id))
        try await store.purge()
        #expect(try await store.annotate(id, Self.patch(#"{"title":"a"}"#)))
        #expect(try await store.erase(id))
        #expect(try await store.annotations(of: [id]).isEmpty)
        await store.close()
        withExtendedLifetime(directory) {}
    }

    @Test func `many old reports are removed in batches`() async throws {
        let directory = try TemporaryDirectory()
        let store = try Self.store(directory)
        for number: UInt64 in 1...450 { store.keep(Self.report(number, endedAt: Int64(number))) }
        try await store.purge()
        store.sweep(endedBefore: 431)
        for _ in 0..<20 { try await store.purge() }
        #expect(try await store.reports(after: nil, limit: 500).count == 20)
        await store.close()
        withExtendedLifetime(directory) {}
    }

    @Test func `a full store deletes its oldest reports before it rejects work`() async throws {
        let directory = try TemporaryDirectory()
        let store = try Self.store(directory, maximumBytes: 400_000)
        let text = String(repeating: "x", count: 50_000)
        for number: UInt64 in 1...20 {
            store.keep(Self.report(number, endedAt: Int64(number), text: text))
            try await store.purge()
        }
        let kept = try await store.reports(after: nil, limit: 99).map(\.id.high)
        #expect(!kept.isEmpty && kept.last == 20 && kept.count < 8, "\(kept)")
        #expect(store.acceptsWork)
        await store.close()
        withExtendedLifetime(directory) {}
    }
}

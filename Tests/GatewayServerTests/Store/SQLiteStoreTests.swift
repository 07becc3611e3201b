// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import GatewayCore
import Logging
import Support
import Testing

@testable import GatewayServer

@Suite struct SQLiteStoreTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/inner/parley.sqlite" }

    init() throws { directory = try TemporaryDirectory() }

    private func store(_ path: String? = nil, maximumBytes: Int = 0, health: HealthRegistry = HealthRegistry()) throws -> SQLiteStore {
        try SQLiteStore(
            path: path ?? self.path, synchronous: .off, maximumBytes: maximumBytes, health: health,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    private func submit(_ batch: StoreBatch, to store: SQLiteStore) async {
        await withCheckedContinuation { continuation in store.submit(batch) { continuation.resume() } }
    }

    /// A session with several kinds of records, as the core stores it.
    private func batch(_ id: ULID, text: String = "hello") -> StoreBatch {
        var effects = Effects(ids: ULIDSource(seed: 1), showsDetails: false)
        effects.batch = StoreBatch()
        effects.wall = 1_700_000_000_000
        var session = Session(id: id, policy: SharedPolicy(SessionPolicy()), global: SharedLimiter(), now: effects.now, wall: effects.wall)
        var scanner = MessageScanner(rules: ValidationRules())
        Array(#"{"type":"text","id":"a","text":"\#(text)"}"#.utf8).withRawSpan {
            session.receive(text: $0, scanner: &scanner, effects: &effects)
        }
        session.store(effects: &effects)
        return effects.batch ?? StoreBatch()
    }

    @Test func `committed records are loaded after reopening the file`() async throws {
        let first = try store()
        let ids = [ULID(high: 1, low: 2), ULID(high: 3, low: .max)]
        for id in ids { await submit(batch(id), to: first) }
        await first.close()
        let second = try store()
        let sessions = try second.load()
        #expect(Set(sessions.map(\.id)) == Set(ids))
        #expect(sessions.allSatisfy { Set($0.records.keys) == [.state, .id, .history, .request] })
        var end = StoreBatch()
        end.end(ids[0], tokens: [])
        await submit(end, to: second)
        #expect(try second.load().map(\.id) == [ids[1]])
        await second.close()
    }

    @Test func `the files have mode 0600`() throws {
        _ = try store()
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path + "/inner")
        for file in files {
            let mode = try FileManager.default.attributesOfItem(atPath: directory.path + "/inner/" + file)[.posixPermissions] as? Int
            #expect(mode == 0o600, "\(file)")
        }
    }

    @Test func `a file that another process has open is rejected with that reason`() async throws {
        let first = try store()
        #expect { try store() } throws: { "\($0)".contains("another process has it open") && "\($0)".contains(path) }
        await first.close()
        await (try store()).close()
    }

    @Test func `a file that isn't a store is rejected and left unchanged`() throws {
        let path = directory.path + "/notes.txt"
        let content = Data(repeating: 0x41, count: 5000)
        try content.write(to: URL(fileURLWithPath: path))
        #expect { try store(path) } throws: { "\($0)".contains("not an SQLite file") }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == content)
    }

    @Test func `a truncated file is rejected as damaged`() async throws {
        let first = try store()
        for number in 0..<200 {
            await submit(batch(ULID(high: UInt64(number), low: 1), text: String(repeating: "x", count: 2000)), to: first)
        }
        await first.close()
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        let size = try handle.seekToEnd()
        try handle.truncate(atOffset: size / 2)
        try handle.close()
        #expect { try store() } throws: { "\($0)".contains("damaged") }
    }

    /// Modifies the file outside of the store.
    private func tamper(_ body: (Database) throws -> Void) throws {
        try DatabaseQueue(path: path).writeWithoutTransaction(body)
    }

    @Test func `invalid records are skipped`() async throws {
        let first = try store()
        await submit(batch(ULID(high: 1, low: 2)), to: first)
        await first.close()
        try tamper { database in
            try database.execute(sql: "UPDATE record SET kind = -kind WHERE kind = 2")
            try database.execute(sql: "UPDATE record SET kind = 100000 WHERE kind = 3")
            try database.execute(sql: "INSERT INTO record VALUES ('text', 'kind', 'number', 'bytes'), (x'00', 0, 0, x'00')")
        }
        let second = try store()
        #expect(try second.load().map { Set($0.records.keys) } == [[.state, .request]])
        await second.close()
    }

    @Test func `a file of another program or a newer version is rejected and left unchanged`() async throws {
        await (try store()).close()
        try tamper { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('from the future')") }
        #expect { try store() } throws: { "\($0)".contains("a newer version") }
        try tamper { try $0.execute(sql: "PRAGMA application_id = 7") }
        #expect { try store() } throws: { "\($0)".contains("belongs to another program") }
        let foreign = directory.path + "/foreign.sqlite"
        try await DatabaseQueue(path: foreign).write { try $0.execute(sql: "CREATE TABLE a (b); CREATE TABLE c (d)") }
        #expect { try store(foreign) } throws: { "\($0)".contains("belongs to another program") }
        #expect(
            try await DatabaseQueue(path: foreign).read { try String.fetchAll($0, sql: "SELECT name FROM sqlite_master") } == ["a", "c"])
    }

    @Test func `a file removed while it is open makes the store unavailable`() async throws {
        let health = HealthRegistry()
        let store = try store(health: health)
        await submit(batch(ULID(high: 1, low: 2)), to: store)
        store.sweep()
        try await store.purge()
        #expect(store.acceptsWork)
        try FileManager.default.removeItem(atPath: path)
        store.sweep()
        await submit(batch(ULID(high: 1, low: 3)), to: store)
        #expect(!store.acceptsWork)
        await #expect(throws: StoreError.self) { try await store.purge() }
        let ready = HealthResponse.ready(health.report, details: true)
        #expect(ready.status == 503 && String(decoding: ready.body, as: UTF8.self).contains("removed or replaced"))
        await store.close()
    }

    @Test func `free pages are returned to the file system, except a quarter`() async throws {
        let store = try store()
        let ids = (1...100).map { ULID(high: $0, low: 0) }
        for id in ids { await submit(batch(id, text: String(repeating: "x", count: 60_000)), to: store) }
        func size() async throws -> (pages: Int, free: Int) {
            try await store.database.read { database in
                (
                    try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0,
                    try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
                )
            }
        }
        let full = try await size().pages
        var end = StoreBatch()
        for id in ids.dropLast() { end.end(id, tokens: []) }
        await submit(end, to: store)
        #expect(try await size().free > full / 2)
        store.sweep()
        // The sweep continues after batches that are submitted in the meantime.
        for _ in 0..<50 where try await size().free > 256 { try await store.purge() }
        let (pages, free) = try await size()
        #expect(free <= 256 && pages < full / 2, "\(full) pages, then \(pages), \(free) of them free")
        #expect(try store.load().map(\.id) == [ids[99]])
        await store.close()
    }

    @Test(arguments: [(StoreSynchronous.off, 0), (.normal, 1), (.full, 2)])
    func `store.synchronous sets the level of PRAGMA synchronous`(synchronous: StoreSynchronous, expected: Int) async throws {
        let store = try SQLiteStore(
            path: path, synchronous: synchronous, maximumBytes: 0, health: HealthRegistry(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        #expect(try await store.database.read { try Int.fetchOne($0, sql: "PRAGMA synchronous") } == expected)
        await store.close()
    }

    @Test func `a directory that can't be created is reported`() throws {
        #expect { try store("/proc/nothing/parley.sqlite") } throws: { "\($0)".contains("can't create its directory") }
    }

    @Test func `a failed commit is reported once for each batch; the batch is committed when there is room`() async throws {
        let store = try store(maximumBytes: 200_000)
        let (events, continuation) = AsyncStream.makeStream(of: String.self)
        func submit(_ id: ULID, _ name: String) {
            store.submit(
                batch(id, text: String(repeating: "x", count: 50_000)), committed: { continuation.yield(name + " committed") },
                failed: { continuation.yield(name + " failed") })
        }
        submit(ULID(high: 1, low: 1), "first")
        var notifications: [String] = []
        for await event in events {
            notifications.append(event)
            switch notifications.count {
            case 1: submit(ULID(high: 2, low: 1), "second")
            case 2:
                #expect(!store.acceptsWork)
                // Reported as failed without a commit attempt.
                submit(ULID(high: 3, low: 1), "third")
            case 3:
                var end = StoreBatch()
                for high in 1...2 as ClosedRange<UInt64> { end.end(ULID(high: high, low: 1), tokens: []) }
                store.submit(end) {}
            default: break
            }
            if notifications.count == 5 { break }
        }
        #expect(notifications == ["first committed", "second failed", "third failed", "second committed", "third committed"])
        #expect(store.acceptsWork)
        await store.close()
    }

    @Test func `a sweep truncates the write-ahead log; a large transaction doesn't leave a large log`() async throws {
        let store = try store()
        let text = String(repeating: "x", count: 60_000)
        for number in 0..<20 { await submit(batch(ULID(high: UInt64(number), low: 1), text: text), to: store) }
        func logSize() throws -> Int { try FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int ?? -1 }
        #expect(try logSize() > 1_000_000)
        store.sweep()
        try await store.purge()
        #expect(try logSize() == 0)
        try await store.database.write { database in
            try database.execute(sql: "CREATE TABLE large (bytes BLOB); INSERT INTO large VALUES (zeroblob(40000000))")
        }
        #expect(try logSize() > 40_000_000)
        try await store.database.write { try $0.execute(sql: "DROP TABLE large") }
        for number in 20..<23 { await submit(batch(ULID(high: UInt64(number), low: 1), text: text), to: store) }
        #expect(try logSize() <= 17_000_000)
        await store.close()
    }

    @Test func `a full store rejects work, reports it, and recovers when sessions end`() async throws {
        let health = HealthRegistry()
        let store = try store(maximumBytes: 400_000, health: health)
        let text = String(repeating: "x", count: 50_000)
        var accepted: [ULID] = []
        let pending = AwaitableValue<Int>(0)
        for number in 0..<20 {
            let id = ULID(high: UInt64(number), low: 1)
            pending.change { $0 += 1 }
            store.submit(batch(id, text: text)) { pending.change { $0 -= 1 } }
            accepted.append(id)
        }
        while store.acceptsWork { try await Task.sleep(for: .milliseconds(5)) }
        guard case .notReady(let reason) = health.report.parts.first(where: { $0.part == .store })?.state else {
            Issue.record("the store is reported as ready")
            return
        }
        #expect(reason.contains("disk is full"))
        let failing = try #require(store.metrics)
        #expect(failing.errors > 0 && failing.bytes > 0)
        var end = StoreBatch()
        for id in accepted.dropLast() { end.end(id, tokens: []) }
        await submit(end, to: store)
        #expect(store.acceptsWork)
        #expect(store.metrics.map { $0.commitTime.count > failing.commitTime.count } == true)
        #expect(try store.load().map(\.id) == [accepted[19]])
        #expect(health.report.parts.first { $0.part == .store }?.state == .ready)
        await store.close()
    }
}

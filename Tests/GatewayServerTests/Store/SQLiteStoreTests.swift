import Foundation
import GatewayCore
import Logging
import Support
import Testing

@testable import GatewayServer

@Suite struct SQLiteStoreTests {
    private let folder: TemporaryFolder
    private var path: String { folder.path + "/inner/parley.sqlite" }

    init() throws { folder = try TemporaryFolder() }

    private func store(_ path: String? = nil, maximumBytes: Int = 0, health: HealthRegistry = HealthRegistry()) throws -> SQLiteStore {
        try SQLiteStore(
            path: path ?? self.path, synchronous: .off, maximumBytes: maximumBytes, health: health,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    private func submit(_ batch: StoreBatch, to store: SQLiteStore) async {
        await withCheckedContinuation { continuation in store.submit(batch) { continuation.resume() } }
    }

    /// A session with something of every kind, as the core stores it.
    private func batch(_ id: ULID, text: String = "hello") -> StoreBatch {
        var turn = Turn(ids: ULIDSource(seed: 1), showsDetails: false)
        turn.batch = StoreBatch()
        turn.wall = 1_700_000_000_000
        var session = Session(id: id, policy: SessionPolicy(), global: SharedLimiter(), now: turn.now, wall: turn.wall)
        var scanner = MessageScanner(rules: ValidationRules())
        Array(#"{"type":"text","id":"a","text":"\#(text)"}"#.utf8).withRawSpan {
            session.receive(text: $0, scanner: &scanner, turn: &turn)
        }
        session.store(turn: &turn)
        return turn.batch ?? StoreBatch()
    }

    @Test func `what was committed is there after opening the file again`() async throws {
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

    @Test func `the file is for its owner only`() throws {
        _ = try store()
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/inner")
        for file in files {
            let mode = try FileManager.default.attributesOfItem(atPath: folder.path + "/inner/" + file)[.posixPermissions] as? Int
            #expect(mode == 0o600, "\(file)")
        }
    }

    @Test func `a file that another process has is said to be so`() async throws {
        let first = try store()
        #expect { try store() } throws: { "\($0)".contains("another process has it open") && "\($0)".contains(path) }
        await first.close()
        await (try store()).close()
    }

    @Test func `a file that is no store is said to be so, and left alone`() throws {
        let path = folder.path + "/notes.txt"
        let content = Data(repeating: 0x41, count: 5000)
        try content.write(to: URL(fileURLWithPath: path))
        #expect { try store(path) } throws: { "\($0)".contains("no SQLite file") }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == content)
    }

    @Test func `a file that was cut is said to be damaged`() async throws {
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

    @Test func `a folder that can't be made is said to be so`() throws {
        #expect { try store("/proc/nothing/parley.sqlite") } throws: { "\($0)".contains("folder can't be made") }
    }

    @Test func `a full store takes no more, says so, and takes up again when sessions end`() async throws {
        let health = HealthRegistry()
        let store = try store(maximumBytes: 400_000, health: health)
        let text = String(repeating: "x", count: 50_000)
        var accepted: [ULID] = []
        let pending = Watched<Int>(0)
        for number in 0..<20 {
            let id = ULID(high: UInt64(number), low: 1)
            pending.change { $0 += 1 }
            store.submit(batch(id, text: text)) { pending.change { $0 -= 1 } }
            accepted.append(id)
        }
        while store.takesWork { try await Task.sleep(for: .milliseconds(5)) }
        guard case .notReady(let reason) = health.report.parts.first(where: { $0.part == .store })?.state else {
            Issue.record("the store is said to be ready")
            return
        }
        #expect(reason.contains("disk is full"))
        var end = StoreBatch()
        for id in accepted.dropLast() { end.end(id, tokens: []) }
        await submit(end, to: store)
        #expect(store.takesWork)
        #expect(try store.load().map(\.id) == [accepted[19]])
        #expect(health.report.parts.first { $0.part == .store }?.state == .ready)
        await store.close()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import GatewayCore
import Logging
import Support
import Testing

@testable import GatewayServer

/// Damage that SQLite ignores silently, in corrupted copies of files that SQLite wrote.
@Suite struct WriteAheadLogTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/parley.sqlite" }
    private static let frameBytes = 24 + 4096

    /// Creates the files that a killed gateway leaves behind: eight commits of one page each in the log, none in the file.
    init() throws {
        directory = try TemporaryDirectory()
        let living = directory.path + "/living.sqlite"
        var configuration = Configuration()
        configuration.journalMode = .wal
        let database = try DatabaseQueue(path: living, configuration: configuration)
        try database.writeWithoutTransaction { database in
            try database.execute(sql: "CREATE TABLE a (b)")
            _ = try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
            for number in 0..<8 { try database.execute(sql: "INSERT INTO a VALUES (\(number))") }
        }
        for suffix in ["", "-wal"] { try FileManager.default.copyItem(atPath: living + suffix, toPath: path + suffix) }
        try database.close()
    }

    private func change(_ suffix: String = "-wal", _ body: (inout Data) -> Void) throws {
        let url = URL(fileURLWithPath: path + suffix)
        var data = try Data(contentsOf: url)
        body(&data)
        try data.write(to: url)
    }

    private func flip(_ offset: Int) throws { try change { $0[offset] ^= 1 } }

    private var damage: WriteAheadLog.Damage? { get throws { try WriteAheadLog.damage(of: path) } }

    @Test func `the log of a killed process is intact, and so is a missing log`() throws {
        #expect(try damage == nil)
        try change { $0.removeAll() }
        #expect(try damage == nil)
        try FileManager.default.removeItem(atPath: path + "-wal")
        #expect(try damage == nil)
        try FileManager.default.removeItem(atPath: path)
        #expect(try damage == nil)
    }

    @Test(arguments: [0, 8, 20, 100, 4119]) func `a bad byte in the first frame is found although SQLite ignores it`(offset: Int) throws {
        try flip(32 + offset)
        #expect(try damage == .frame(number: 1, following: 7))
        #expect(try DatabaseQueue(path: path).read { try Int.fetchOne($0, sql: "SELECT count(*) FROM a") } == 0)
    }

    @Test func `a bad frame in the middle is found; a bad last frame is an interrupted commit`() throws {
        try flip(32 + 6 * Self.frameBytes + 30)
        #expect(try damage == .frame(number: 7, following: 1))
        try flip(32 + 6 * Self.frameBytes + 30)
        try flip(32 + 7 * Self.frameBytes + 30)
        #expect(try damage == nil)
        // Truncated within the last frame, as by a killed process.
        try change { $0.removeLast(1) }
        #expect(try damage == nil)
    }

    @Test func `a bad single frame is found`() throws {
        try change { $0.removeLast($0.count - 32 - Self.frameBytes) }
        #expect(try damage == nil)
        try flip(32 + 500)
        #expect(try damage == .frame(number: 1, following: 0))
    }

    @Test(arguments: [0, 3, 9, 16, 24, 31]) func `a bad byte in the header is found`(offset: Int) throws {
        try flip(offset)
        guard case .header(let frames)? = try damage else {
            Issue.record("\(String(describing: try damage))")
            return
        }
        #expect(frames > 0)
    }

    @Test func `frames of an earlier generation after the current ones aren't damage`() throws {
        // The log was restarted with another salt; the remaining frames are leftovers.
        try change { data in
            let leftovers = data[(32 + 2 * Self.frameBytes)...]
            for start in stride(from: leftovers.startIndex, to: leftovers.endIndex, by: Self.frameBytes) { data[start + 8] ^= 0xFF }
        }
        #expect(try damage == nil)
    }

    @Test(arguments: [0, 1, 511]) func `a file that is too short for its log is found`(count: Int) throws {
        try change("") { $0.removeLast($0.count - count) }
        #expect(try damage == .noFile(bytes: count, frames: 8))
    }

    @Test func `an empty store without a log is new`() throws {
        try change("") { $0.removeAll() }
        try FileManager.default.removeItem(atPath: path + "-wal")
        #expect(try damage == nil)
    }

    @Test func `a log of garbage is reported as a damaged header`() throws {
        for count in [0, 1, 31, 32, 33, 5000] {
            try change { $0 = Data(repeating: 0xFF, count: count) }
            #expect(try damage == (count < 32 + 24 + 4096 ? nil : .header(frames: 1)))
        }
    }

    @Test(arguments: ["frame", "file"]) func `startup warns once and continues`(kind: String) async throws {
        let path = path
        func store(_ handler: @escaping @Sendable (String) -> any LogHandler) throws -> SQLiteStore {
            try SQLiteStore(
                path: path, synchronous: .off, maximumBytes: 0, health: HealthRegistry(), logger: Logger(label: "test", factory: handler))
        }
        for suffix in ["", "-wal"] { try FileManager.default.removeItem(atPath: path + suffix) }
        let first = try store { _ in SwiftLogNoOpLogHandler() }
        let files = try ["", "-wal"].map { try Data(contentsOf: URL(fileURLWithPath: path + $0)) }
        await first.close()
        for (suffix, data) in zip(["", "-wal"], files) { try data.write(to: URL(fileURLWithPath: path + suffix)) }
        if kind == "frame" { try flip(32 + 100) } else { try change("") { $0.removeAll() } }
        let lines = LogRecorder()
        let second = try store { _ in lines }
        #expect(lines.linesWithLevel.first?.hasPrefix("warning the store is damaged") == true, "\(lines.linesWithLevel)")
        #expect(second.acceptsWork)
        await second.close()
        // The warning isn't repeated: the store is intact now.
        let third = LogRecorder()
        await (try store { _ in third }).close()
        #expect(third.linesWithLevel.allSatisfy { !$0.hasPrefix("warning") }, "\(third.linesWithLevel)")
    }
}

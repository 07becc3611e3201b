// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import GatewayCore
import GatewayServer
import Logging
import Support
import Synchronization
import Testing

@Suite struct AuditLogTests {
    /// A disk that a test can fill, and a thread that a test can block.
    private final class Disk: Sendable {
        struct State {
            /// Bytes that can be written before the disk is full.
            var room = Int.max
            var isBlocked = false
        }

        let state = Mutex(State())
        private let released = DispatchSemaphore(value: 0)
        let blocked = DispatchSemaphore(value: 0)

        func set(room: Int) { state.withLock { $0.room = room } }

        func block() { state.withLock { $0.isBlocked = true } }

        func release() {
            state.withLock { $0.isBlocked = false }
            released.signal()
        }

        @Sendable func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
            if state.withLock({ $0.isBlocked }) {
                blocked.signal()
                released.wait()
            }
            let count = state.withLock { state in
                let count = min(bytes.count, state.room)
                if state.room != .max { state.room -= count }
                return count
            }
            guard count > 0 else { return -Int(ENOSPC) }
            return Foundation.write(descriptor, bytes.baseAddress, count)
        }
    }

    private struct Fixture {
        let directory: TemporaryDirectory
        let health = HealthRegistry()

        init() throws { directory = try TemporaryDirectory() }

        var path: String { directory.path + "/audit.log" }

        func open(capacity: Int = 100, write: AuditWrite? = nil) throws -> AuditLog {
            let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            return try AuditLog(
                path: path, capacity: capacity, health: health, logger: quiet, retryInterval: .milliseconds(1), write: write)
        }

        var records: [JSON] { get throws { try directory.read("audit.log").split(separator: "\n").map { try JSON(String($0)) } } }
        var events: [String] { get throws { try records.map { $0["event"].string ?? "" } } }
        var part: HealthState? { health.report.parts.first { $0.part == .audit }?.state }

        func verify(_ files: String...) throws -> AuditVerifier {
            var verifier = AuditVerifier(hash: AuditDigest.sha256)
            for file in files {
                var lines = Array(try directory.read(file).utf8).split(separator: 0x0A, omittingEmptySubsequences: false)
                #expect(lines.popLast()?.isEmpty == true)
                for line in lines { verifier.verify(line) }
            }
            verifier.finish()
            return verifier
        }
    }

    private static func connect(_ number: Int = 0) -> AuditRecord { AuditRecord(.connect, at: Int64(number), from: "192.0.2.1:\(number)") }

    @Test func `the digest is that of FIPS 180-4`() {
        #expect(
            AuditDigest.sha256(Array("abc".utf8)).description == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func `a new file has mode 0600, begins with begin and ends with stop`() throws {
        let fixture = try Fixture()
        let log = try fixture.open()
        #expect(fixture.part == .ready)
        log.record(Self.connect())
        #expect(log.close(within: .seconds(60)))
        #expect(try fixture.events == ["begin", "connect", "stop"])
        #expect(try fixture.verify("audit.log").findings.isEmpty)
        #expect(try FileManager.default.attributesOfItem(atPath: fixture.path)[.posixPermissions] as? Int == 0o600)
    }

    @Test func `a restart continues the chain of the file`() throws {
        let fixture = try Fixture()
        for _ in 0..<3 { try fixture.open().close(within: .seconds(60)) }
        #expect(try fixture.records.map { $0["seq"].integer } == [1, 2, 3, 4, 5, 6])
        #expect(try fixture.verify("audit.log").findings.isEmpty)
    }

    @Test func `a partial line at the end is ended and explained`() throws {
        let fixture = try Fixture()
        try fixture.open().close(within: .seconds(60))
        let whole = try fixture.directory.read("audit.log")
        for size in [1, 5, 100] {
            _ = try fixture.directory.write(whole + whole.prefix(size), to: "audit.log")
            try fixture.open().close(within: .seconds(60))
            let verifier = try fixture.verify("audit.log")
            #expect(verifier.findings.isEmpty && verifier.records == 5)
        }
    }

    @Test func `a whole line that is no record keeps the log from starting`() throws {
        let fixture = try Fixture()
        _ = try fixture.directory.write("a diary\n", to: "audit.log")
        #expect(throws: AuditFault.noRecord) { try fixture.open() }
        #expect(throws: AuditFault.notAFile) {
            try AuditLog(path: "/dev/null", capacity: 1, health: fixture.health, logger: Logger(label: "x"))
        }
        _ = try fixture.directory.write("", to: "audit.log")
        let first = try fixture.open()
        #expect(throws: AuditFault.inUse) { try fixture.open() }
        first.close(within: .seconds(60))
    }

    @Test func `a full disk degrades the health part, leaves no partial line, and loses nothing that fits the queue`() throws {
        let (fixture, disk) = (try Fixture(), Disk())
        let log = try fixture.open(write: disk.write)
        log.record(Self.connect(1))
        #expect(log.flush(within: .seconds(60)))
        // Enough for a part of the next record.
        disk.set(room: 50)
        log.record(Self.connect(2))
        while fixture.part == .ready { usleep(1000) }
        #expect(fixture.part == .degraded("the audit file can't be written: No space left on device"))
        #expect(try fixture.verify("audit.log").records == 2)
        log.record(Self.connect(3))
        disk.set(room: .max)
        #expect(log.flush(within: .seconds(60)))
        #expect(fixture.part == .ready)
        #expect(try fixture.events == ["begin", "connect", "connect", "connect"])
        #expect(try fixture.verify("audit.log").findings.isEmpty)
        log.close(within: .seconds(60))
    }

    @Test(arguments: [(3, 0), (4, 0), (5, 1), (9, 5)]) func `records beyond the queue are dropped and counted`(count: Int, lost: Int) throws
    {
        let (fixture, disk) = (try Fixture(), Disk())
        let log = try fixture.open(capacity: 4, write: disk.write)
        #expect(log.flush(within: .seconds(60)))
        disk.block()
        log.record(Self.connect())
        disk.blocked.wait()
        // The record that is being written counts, too.
        for number in 1..<count { log.record(Self.connect(number)) }
        disk.release()
        #expect(log.flush(within: .seconds(60)))
        #expect(log.dropped == UInt64(lost))
        let records = try fixture.records
        #expect(records.count { $0["event"] == "connect" } == count - lost)
        #expect(records.last?["count"].integer == (lost > 0 ? lost : nil))
        #expect(try fixture.verify("audit.log").findings.isEmpty)
        log.close(within: .seconds(60))
    }

    @Test func `a renamed file is followed by one that continues the chain`() throws {
        let fixture = try Fixture()
        let log = try fixture.open()
        log.record(Self.connect())
        #expect(log.flush(within: .seconds(60)))
        // Without a rename nothing changes.
        log.reopen()
        #expect(log.flush(within: .seconds(60)))
        #expect(try fixture.events == ["begin", "connect"])
        try FileManager.default.moveItem(atPath: fixture.path, toPath: fixture.path + ".1")
        log.reopen()
        log.record(Self.connect())
        #expect(log.close(within: .seconds(60)))
        #expect(try fixture.events == ["begin", "connect", "stop"])
        #expect(try fixture.records[0]["reason"] == "rotated")
        #expect(try fixture.verify("audit.log.1", "audit.log").findings.isEmpty)
    }

    @Test func `an event loop writes 20 rejections per second and counts the others`() throws {
        let fixture = try Fixture()
        let log = try fixture.open(capacity: 2000)
        var audit = LoopAudit(log: log)
        let start = Instant(nanoseconds: 0)
        for _ in 0..<(LoopAudit.rejectionsPerSecond + 3) { audit.record(AuditRecord(.refuse, at: 1), now: start) }
        // A flood of failed handshakes doesn't hide rejections.
        for _ in 0..<LoopAudit.rejectionsPerSecond { audit.record(AuditRecord(.handshakeFailure, at: 1), now: start) }
        audit.record(AuditRecord(.handshakeFailure, at: 1), now: start)
        for _ in 0..<(LoopAudit.eventsPerSecond + 1) { audit.record(AuditRecord(.connect, at: 1), now: start) }
        audit.recordSuppressed(now: start + .milliseconds(999), wall: 2)
        audit.recordSuppressed(now: start + .milliseconds(1000), wall: 2)
        #expect(log.close(within: .seconds(60)))
        let records = try fixture.records
        #expect(records.count { $0["event"] == "refuse" } == LoopAudit.rejectionsPerSecond)
        #expect(records.count { $0["event"] == "handshake_failure" } == LoopAudit.rejectionsPerSecond)
        #expect(records.count { $0["event"] == "connect" } == LoopAudit.eventsPerSecond)
        let suppressed = records.filter { $0["event"] == "suppressed" }
        #expect(suppressed.map { [$0["of"], $0["count"]] } == [["connect", 1], ["refuse", 3], ["handshake_failure", 1]])
    }

    @Test func `records are read in pages, by time, up to a number of bytes`() async throws {
        let fixture = try Fixture()
        let log = try fixture.open()
        for number in 0..<20 { log.record(Self.connect(number)) }
        #expect(log.flush(within: .seconds(60)))
        let reader = AuditReader(path: fixture.path)
        var cursor: AuditReader.Cursor?
        var found: [Int64] = []
        repeat {
            let page = try await reader.page(5..<15, after: cursor, limit: 4)
            #expect(page.lines.count <= 4)
            found += page.lines.compactMap { AuditLine.time(of: $0[...]) }
            cursor = page.cursor
        } while cursor != nil
        #expect(found == Array(5..<15))
        // A page ends after the bytes that are searched for it, even if it is empty.
        let short = try await AuditReader(path: fixture.path, maximumBytes: 1).page(900..<901, after: nil, limit: 4)
        #expect(short.lines.isEmpty)
        await #expect(throws: AuditReader.Fault.invalidCursor) {
            try await reader.page(0..<1, after: AuditReader.Cursor(file: 1, offset: 0), limit: 1)
        }
        log.close(within: .seconds(60))
        for text in ["", "1", "1-", "-1", "1--1", "x-1", "1-2-3", String(repeating: "1", count: 41)] {
            #expect(AuditReader.Cursor(text) == nil)
        }
        #expect(AuditReader.Cursor("12-34") == AuditReader.Cursor(file: 12, offset: 34))
    }
}

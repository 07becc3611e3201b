// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import GatewayServer

@Suite struct LogTailTests {
    private func append(_ message: String, to tail: LogTail, level: Logger.Level = .info, _ metadata: Logger.Metadata = [:]) {
        let line = LogLine(time: WallTime(unixMilliseconds: 0), level: level, logger: "test", message: message, metadata: metadata)
        tail.append(line, json: Array("\(message)\n".utf8))
    }

    private func texts(_ batch: LogTail.Batch) -> [String] { batch.lines.map { String(decoding: $0.json, as: UTF8.self) } }

    @Test func `a reader gets each line once, without the line feed`() {
        let tail = LogTail()
        append("a", to: tail)
        append("b", to: tail)
        let first = tail.read(after: 0, limit: 1)
        #expect(texts(first) == ["a"])
        #expect(!first.isLast && first.dropped == 0)
        let second = tail.read(after: first.last)
        #expect(texts(second) == ["b"])
        #expect(second.isLast)
        #expect(texts(tail.read(after: second.last)).isEmpty)
    }

    @Test func `level, session and correlation id filter the lines`() {
        let tail = LogTail()
        append("info", to: tail)
        append("session", to: tail, level: .warning, ["session_id": "01S"])
        append("both", to: tail, level: .error, ["session_id": "01S", "correlation_id": "01C"])
        #expect(texts(tail.read(after: 0, .init(level: .warning))) == ["session", "both"])
        #expect(texts(tail.read(after: 0, .init(level: .critical))).isEmpty)
        #expect(texts(tail.read(after: 0, .init(sessionID: "01S"))) == ["session", "both"])
        #expect(texts(tail.read(after: 0, .init(sessionID: "01S", correlationID: "01C"))) == ["both"])
        #expect(texts(tail.read(after: 0, .init(correlationID: "01S"))).isEmpty)
    }

    @Test func `at the limit of lines the oldest is removed, and a reader that hasn't read it learns the number`() {
        let tail = LogTail(maximumLines: 3)
        for text in ["a", "b", "c"] { append(text, to: tail) }
        #expect(texts(tail.read(after: 0)) == ["a", "b", "c"])
        append("d", to: tail)
        // A new reader has missed nothing.
        #expect(tail.read(after: 0).dropped == 0)
        #expect(texts(tail.read(after: 0)) == ["b", "c", "d"])
        append("e", to: tail)
        let late = tail.read(after: 1)
        #expect(late.dropped == 1)
        #expect(texts(late) == ["c", "d", "e"])
    }

    @Test func `at the limit of bytes lines are removed until the rest fits`() {
        let tail = LogTail(maximumBytes: 10)
        for text in ["aaaaa", "bbbbb"] { append(text, to: tail) }
        #expect(texts(tail.read(after: 0)) == ["aaaaa", "bbbbb"])
        append("c", to: tail)
        #expect(texts(tail.read(after: 0)) == ["bbbbb", "c"])
    }

    @Test func `followers are woken, merge what they haven't consumed, and end with the tail`() async {
        let tail = LogTail()
        var changes = tail.follow().makeAsyncIterator()
        append("a", to: tail)
        append("b", to: tail)
        tail.wake()
        #expect(await changes.next() != nil)
        #expect(tail.followerCount == 1)
        tail.finish()
        #expect(await changes.next() == nil)
        var late = tail.follow().makeAsyncIterator()
        #expect(await late.next() == nil)
    }

    @Test func `a temporary log level ends at its time, and a reload in between changes only the level that follows`() throws {
        let eventLoop = EmbeddedEventLoop()
        let applied = Mutex<[Logger.Level]>([])
        let control = LogLevelControl(configured: .info, eventLoop: eventLoop, now: { 1000 }) { level in
            applied.withLock { $0.append(level) }
        }
        #expect(control.override(.debug, for: .seconds(60)) == 61_000)
        #expect(control.current.level == .debug && control.current.until == 61_000)
        control.configure(.warning)
        #expect(control.current.level == .debug)
        // A second override replaces the first one and its timer.
        eventLoop.advanceTime(by: .seconds(30))
        control.override(.trace, for: .seconds(60))
        eventLoop.advanceTime(by: .seconds(59))
        #expect(control.current.level == .trace)
        eventLoop.advanceTime(by: .seconds(1))
        #expect(control.current.level == .warning && control.current.until == nil)
        control.configure(.error)
        #expect(applied.withLock { $0 } == [.debug, .trace, .warning, .error])
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import GatewayServer
@testable import GatewayWebSocket

/// A WebSocket that many requests share, with upstreams that don't read, stay silent or send invalid messages.
@Suite struct SharedSocketTests {
    /// Events of a request: `opened`, `requestSent`, `consumed 3`, `text a`, `end`. Failures are recorded separately.
    private final class Receiver: AttemptReceiver {
        var events: [String] = []
        var failure: CallFailure?
        var readBytes = 0

        func opened(attempt: Int) { events.append("opened") }
        func requestSent(attempt: Int) { events.append("connected") }
        func read(_ bytes: Int, attempt: Int) { readBytes += bytes }
        func received(_ content: consuming UpstreamEvent.Content, attempt: Int) {
            if case .text(let text, _) = content { events.append("text " + String(decoding: text, as: UTF8.self)) }
        }
        func received(last content: consuming UpstreamEvent.Content, summary: ResponseSummary, attempt: Int) { events.append("end") }
        func consumed(_ bytes: Int, attempt: Int) { events.append("consumed \(bytes)") }
        func failed(_ failure: CallFailure, attempt: Int) { self.failure = failure }
    }

    /// Stands in for the kernel: accepts everything that is flushed, or nothing.
    private final class System: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var isFull = false
        func flush(context: ChannelHandlerContext) { if !isFull { context.flush() } }
    }

    private final class Harness {
        let channel = EmbeddedChannel()
        let connection: MultiplexConnection
        let socket: UpstreamSocketHandler
        private let system = System()
        private var reader = MessageReader(role: .server, limits: WebSocketLimits(maxMessageBytes: 1 << 20, maxFragments: 16))
        private(set) var now = Instant(nanoseconds: 1_000_000_000)
        private(set) var isClosed = false
        let pool: UpstreamPool

        init() throws {
            pool = UpstreamPool(
                name: "test", addresses: ["a"], policy: .init(), logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
                clock: UpstreamPool.monotonic)
            var onClose: () -> Void = {}
            connection = MultiplexConnection(pool: pool, at: now) { _ in onClose() }
            socket = UpstreamSocketHandler(owner: connection, maxMessageBytes: 1000)
            try channel.pipeline.syncOperations.addHandlers([system, socket])
            channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)
            connection.attach(socket)
            onClose = { [weak self] in self?.isClosed = true }
        }

        func open() { socket.begin() }

        func add(_ text: String? = "hello") throws -> (MultiplexAttempt, Receiver) {
            let receiver = Receiver()
            let attempt = MultiplexAttempt(try CallHarness().request(text), reporter: AttemptReporter(receiver: receiver, attempt: 1))
            connection.add(attempt)
            return (attempt, receiver)
        }

        /// Makes the socket accept nothing, or accept everything again.
        func setFull(_ isFull: Bool) {
            system.isFull = isFull
            channel.embeddedEventLoop.run()
            channel.isWritable = !isFull
            if !isFull { channel.flush() }
            channel.pipeline.fireChannelWritabilityChanged()
            channel.embeddedEventLoop.run()
        }

        /// Returns the messages sent since the last call: type and number of each, `binary 2` for two bytes of audio, `ping`, `pong` with
        /// its payload.
        func sent() throws -> [String] {
            channel.embeddedEventLoop.run()
            var sent: [String] = []
            while var buffer = try channel.readOutbound(as: ByteBuffer.self) {
                while let event = try reader.next(in: &buffer) {
                    switch event {
                    case .text(let payload):
                        let message = try reader.withPayload(of: payload, in: buffer) { span in try MessageNumber(span) }
                        sent.append("\(message.type) \(message.request)")
                    case .binary(let payload): sent.append("binary \(payload.count - 4)")
                    case .ping: sent.append("ping")
                    case .pong(let payload):
                        sent.append("pong " + reader.withPayload(of: payload, in: buffer) { String(decoding: $0.bytes, as: UTF8.self) })
                    case .close: sent.append("close")
                    }
                }
            }
            return sent
        }

        func receive(_ bytes: [UInt8]) throws {
            channel.pipeline.fireChannelRead(ByteBuffer(bytes: bytes))
            channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        }

        func receive(_ text: String) throws { try receive([0x81, UInt8(text.utf8.count)] + text.utf8) }

        func ping(_ payload: String) -> [UInt8] { [0x89, UInt8(payload.utf8.count)] + payload.utf8 }

        /// Advances time in ticks of 100 ms.
        func advance(seconds: Double, betweenBytes: Int64 = 15_000_000_000) {
            for _ in 0..<Int((seconds * 10).rounded()) {
                now = now.advanced(byNanoseconds: 100_000_000)
                connection.tick(now: now, idleClose: .max, maxAge: .max, betweenBytes: betweenBytes)
            }
        }
    }

    /// The type and request number of a message.
    private struct MessageNumber {
        var type = ""
        var request = ""

        init(_ span: RawSpan) throws {
            let text = String(decoding: span.bytes, as: UTF8.self)
            type = try #require(text.split(separator: "\"type\":\"").last?.split(separator: "\"").first.map(String.init))
            request = text.split(separator: "\"request\":").dropFirst().first.map { String($0.prefix { $0.isNumber }) } ?? "-"
        }
    }

    // MARK: An upstream that doesn't read

    @Test func `requests wait while the socket isn't writable and are then sent in order`() throws {
        let harness = try Harness()
        let early = try harness.add()
        #expect(early.1.events.isEmpty)
        harness.open()
        #expect(early.1.events == ["opened", "connected"])
        #expect(try harness.sent() == ["text 1"])
        harness.setFull(true)
        let waiting = try (0..<3).map { _ in try harness.add() }
        #expect(waiting.allSatisfy { $0.1.events == ["opened"] && !$0.0.isRequestWritten })
        #expect(try harness.sent().isEmpty)
        harness.setFull(false)
        #expect(try harness.sent() == ["text 2", "text 3", "text 4"])
        #expect(waiting.allSatisfy { $0.1.events == ["opened", "connected"] })
    }

    @Test func `a request that is cancelled while it waits sends nothing and is removed`() throws {
        let harness = try Harness()
        harness.open()
        let written = try harness.add()
        _ = try harness.sent()
        harness.setFull(true)
        let before = harness.connection.pendingBytes
        for _ in 0..<10_000 {
            let (attempt, _) = try harness.add(String(repeating: "x", count: 1000))
            attempt.cancel(.client, playedMilliseconds: nil)
        }
        #expect(harness.connection.pendingBytes == before)
        #expect(harness.connection.count == 1 && harness.connection.waitingCount <= 66)
        // A written request is cancelled with a single message.
        written.0.cancel(.client, playedMilliseconds: 3)
        written.0.cancel(.client, playedMilliseconds: 3)
        harness.setFull(false)
        #expect(try harness.sent() == ["cancel 1"])
        _ = try harness.add()
        #expect(try harness.sent() == ["text 10002"])
    }

    @Test func `audio, its end and pauses are sent in round-robin order; an undone pause isn't sent`() throws {
        let harness = try Harness()
        harness.open()
        let (one, receiver) = try harness.add(nil)
        let (two, _) = try harness.add(nil)
        _ = try harness.sent()
        harness.setFull(true)
        for _ in 0..<2 {
            one.send([1, 2])
            two.send([3])
        }
        one.endInput()
        for _ in 0..<1000 {
            two.pause()
            two.resume()
        }
        one.pause()
        #expect(receiver.events == ["opened", "connected"])
        harness.setFull(false)
        #expect(try harness.sent() == ["pause 1", "binary 1", "binary 2", "binary 1", "binary 2", "audio 1"])
        #expect(receiver.events == ["opened", "connected", "consumed 2", "consumed 2"])
    }

    @Test func `client states are dropped while many bytes are pending`() throws {
        let harness = try Harness()
        harness.open()
        let state = Array("{\"type\":\"status\",\"state\":\"typing\"}".utf8)
        harness.connection.sendClientState(state)
        #expect(try harness.sent() == ["status -"])
        harness.setFull(true)
        for _ in 0..<100_000 { harness.connection.sendClientState(state) }
        #expect((500_000...600_000).contains(harness.connection.pendingBytes))
    }

    @Test func `data beyond one write continues without a writability change`() throws {
        let harness = try Harness()
        harness.open()
        let (one, receiver) = try harness.add(nil)
        for _ in 0..<40 { one.send([UInt8](repeating: 0, count: 10_000)) }
        one.endInput()
        #expect(try harness.sent().count == 42)
        #expect(receiver.events.count == 42)
    }

    @Test func `a socket without write progress for between_bytes_timeout closes; only written requests may have been processed`() throws {
        let harness = try Harness()
        harness.open()
        let (_, written) = try harness.add()
        let (_, other) = try harness.add()
        harness.setFull(true)
        let (_, waiting) = try harness.add()
        harness.advance(seconds: 15)
        #expect(written.failure == nil)
        harness.advance(seconds: 0.1)
        #expect(written.failure?.code == .upstreamTimeout && written.failure?.mayHaveBeenProcessed == true)
        #expect(other.failure?.code == .upstreamTimeout)
        #expect(waiting.failure?.code == .upstreamUnavailable && waiting.failure?.mayHaveBeenProcessed == false)
        // The endpoint counts one failure.
        #expect([written, other, waiting].compactMap(\.failure?.outcome) == [.failure, .neither, .neither])
        #expect(harness.isClosed)
    }

    @Test func `a socket with occasional write progress stays open`() throws {
        let harness = try Harness()
        harness.open()
        let (_, receiver) = try harness.add()
        for _ in 0..<4 {
            harness.setFull(true)
            _ = try harness.add()
            harness.advance(seconds: 14)
            harness.setFull(false)
            // A working upstream also sends messages.
            try harness.receive(#"{"type":"status","request":1,"state":"thinking"}"#)
            _ = try harness.sent()
        }
        #expect(receiver.failure == nil && !harness.isClosed)
    }

    // MARK: Pings

    @Test func `pings on a full socket get a single pong, for the newest`() throws {
        let harness = try Harness()
        harness.open()
        try harness.receive(harness.ping("first"))
        #expect(try harness.sent() == ["pong first"])
        harness.setFull(true)
        for number in 0..<10_000 { try harness.receive(harness.ping("\(number)")) }
        #expect(harness.connection.pendingBytes == 0)
        harness.setFull(false)
        #expect(try harness.sent() == ["pong 9999"])
    }

    @Test func `a flood of pings in one read gets a few pongs and one for the newest`() throws {
        let harness = try Harness()
        harness.open()
        harness.channel.pipeline.fireChannelRead(ByteBuffer(bytes: (0..<2000).flatMap { harness.ping("\($0)") }))
        #expect(harness.connection.pendingBytes < 8300)
        harness.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        let sent = try harness.sent()
        #expect(sent.first == "pong 0" && sent.last == "pong 1999")
    }

    @Test func `nothing follows a close frame, not even a pending pong`() throws {
        let harness = try Harness()
        harness.open()
        harness.setFull(true)
        try harness.receive(harness.ping("late"))
        harness.connection.close(nil)
        harness.setFull(false)
        #expect(try harness.sent() == ["close"])
    }

    @Test func `an upstream that sends pings but no pongs is closed`() throws {
        let harness = try Harness()
        harness.open()
        let (_, receiver) = try harness.add()
        _ = try harness.sent()
        for _ in 0..<201 {
            #expect(!harness.isClosed)
            try harness.receive(harness.ping("x"))
            // An unsolicited pong.
            try harness.receive([0x8A, 8] + [UInt8](repeating: 9, count: 8))
            harness.advance(seconds: 0.1)
        }
        #expect(try harness.sent().contains("ping"))
        #expect(harness.isClosed)
        #expect(receiver.failure?.details == "no reply to a ping")
    }

    @Test func `pongs and messages count as signs of life`() throws {
        let harness = try Harness()
        harness.open()
        _ = try harness.add()
        for number in 1...20 as ClosedRange<UInt8> {
            harness.advance(seconds: 10.1)
            #expect(try harness.sent().contains("ping"))
            try harness.receive([0x8A, 8] + [0, 0, 0, 0, 0, 0, 0, number])
        }
        for _ in 0..<20 {
            try harness.receive(#"{"type":"status","request":1,"state":"thinking"}"#)
            harness.advance(seconds: 9.9)
        }
        #expect(!harness.isClosed)
        #expect(try harness.sent().allSatisfy { $0 != "ping" })
    }

    @Test func `a message that is incomplete after between_bytes_timeout closes the connection`() throws {
        let harness = try Harness()
        harness.open()
        let (_, receiver) = try harness.add()
        try harness.receive([0x01, 1, 0x7B])
        harness.advance(seconds: 15)
        #expect(!harness.isClosed)
        harness.advance(seconds: 0.1)
        #expect(receiver.failure?.code == .upstreamTimeout)
        #expect(harness.isClosed)
    }

    // MARK: Outcomes for the breaker

    @Test(arguments: [
        (#"{"type":"text","request":1,"text":5}"#, false), (#"{"type":"elephant","request":1}"#, false), ("hello", true), ("[]", true),
        (#"{"type":"text","text":"a"}"#, true), (#"{"type":"text","request":-1,"text":"a"}"#, true),
    ])
    func `an unusable response doesn't count against the endpoint`(text: String, closesConnection: Bool) throws {
        let harness = try Harness()
        harness.open()
        let (_, receiver) = try harness.add()
        try harness.receive(text)
        #expect(receiver.failure?.code == .upstreamError)
        #expect(receiver.failure?.outcome == .neither)
        #expect(harness.isClosed == closesConnection)
    }

    @Test func `retryable in an error decides its outcome for the breaker`() throws {
        for (retryable, outcome) in [("", .neither), (#","retryable":false"#, .success), (#","retryable":true"#, .failure)]
            as [(String, CircuitBreaker.Outcome)]
        {
            let harness = try Harness()
            harness.open()
            let (_, receiver) = try harness.add()
            try harness.receive("{\"type\":\"error\",\"request\":1\(retryable)}")
            #expect(receiver.failure?.outcome == outcome)
        }
    }

    @Test func `the bytes of messages are reported to their request`() throws {
        let harness = try Harness()
        harness.open()
        let (_, receiver) = try harness.add()
        let text = #"{"type":"text","request":1,"text":"a","padding":"..............."}"#
        try harness.receive(text)
        #expect(receiver.readBytes == text.utf8.count)
    }
}

extension RawSpan {
    fileprivate var bytes: [UInt8] { (0..<byteCount).map { byte(at: $0) } }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOCore
import NIOEmbedded
import Support
import Testing

@Suite struct WebSocketHandlerTests {
    @Test func `the acknowledgement and the response to a text are sent in one write`() throws {
        let harness = LoopHarness()
        let client = try harness.openSession()
        try client.send(text: #"{"type":"text","id":"a","text":"hello"}"#)
        let frames = try client.frames()
        #expect(
            frames.map(\.text) == [
                #"{"type":"ack","id":"a"}"#, #"{"type":"text","seq":1,"reply_to":"a","text":"hello","final":true,"done":true}"#,
            ])
    }

    @Test func `frames that follow the request in the same bytes are delivered to the session`() throws {
        let harness = LoopHarness()
        let client = try harness.connect()
        let ping = "{\"type\":\"ping\",\"id\":\"early\"}"
        var bytes = Array(EmbeddedConnection.request(path: "/ws").utf8)
        bytes += [0x81, 0x80 | UInt8(ping.utf8.count), 0, 0, 0, 0] + ping.utf8
        try client.send(bytes)
        _ = try client.responseHead()
        let frames = try client.frames()
        #expect(frames.count == 2)
        #expect(frames.last?.text.hasPrefix(#"{"type":"pong","id":"early""#) == true)
    }

    @Test(arguments: ["Upgrade", "Upgrade\t", "keep-alive,\tUpgrade"])
    func `a second request after the upgrade is parsed as WebSocket frames, not as HTTP`(field: String) throws {
        let client = try LoopHarness().connect()
        let request = EmbeddedConnection.request(path: "/ws").replacing("Connection: Upgrade", with: "Connection: \(field)")
        try client.send(request + "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(try client.responseHead().hasPrefix("HTTP/1.1 101 "))
        #expect(try client.frames().last?.closeCode == 1002)
    }

    @Test func `a message received together with a close frame gets its response before the close reply`() throws {
        let client = try LoopHarness().openSession()
        let text = Array(#"{"type":"text","id":"a","text":"hello"}"#.utf8)
        try client.send([0x81, 0x80 | UInt8(text.count), 0, 0, 0, 0] + text + [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8])
        let frames = try client.frames()
        #expect(
            frames.dropLast().map(\.text) == [
                #"{"type":"ack","id":"a"}"#, #"{"type":"text","seq":1,"reply_to":"a","text":"hello","final":true,"done":true}"#,
            ])
        #expect(frames.last?.closeCode == 1000)
    }

    @Test func `an echo is sent before the reply to a close frame of the same read`() throws {
        let client = try LoopHarness { $0.conformance.echo = true }.connect()
        try client.upgrade(path: "/echo")
        try client.send([0x82, 0x81, 0, 0, 0, 0, 0x07, 0x88, 0x80, 0, 0, 0, 0])
        #expect(try client.frames() == [.init(opcode: 2, payload: [7]), .init(opcode: 8, payload: [])])
    }

    @Test func `sessions without a budget of their own count toward the total budget`() throws {
        let harness = LoopHarness {
            $0.sessions.memoryBudget = 0
            $0.sessions.totalMemoryBudget = 50_000
        }
        let client = try harness.openSession()
        try client.send(text: #"{"type":"text","id":"a","text":"\#(String(repeating: "a", count: 60_000))"}"#)
        harness.advance(by: .milliseconds(1100))
        #expect(harness.loop.isShortOfMemory)
    }

    @Test func `nothing is sent after a close frame, even with pending messages of the same read`() throws {
        let client = try LoopHarness { $0.sessions.memoryBudget = 64_000 }.openSession()
        let part = [UInt8](repeating: 0x61, count: 60_000)
        try client.send(frame: 0x01, part)
        try client.send(frame: 0x00, part)
        let frames = try client.frames()
        #expect(frames.last?.closeCode == 4506)
        #expect(frames.filter { $0.opcode == 8 }.count == 1)
    }

    @Test func `a ping is sent at the interval, a missed pong triggers another, and silence closes with 4001`() throws {
        let harness = LoopHarness {
            $0.heartbeat.interval = .seconds(10)
            $0.heartbeat.timeout = .seconds(3)
            $0.heartbeat.staleAfter = .seconds(20)
        }
        let client = try harness.openSession()
        harness.advance(by: .milliseconds(9400))
        #expect(try client.frames().isEmpty)
        harness.advance(by: .milliseconds(1200))
        #expect(try client.frames().map(\.opcode) == [9])
        harness.advance(by: .seconds(4))
        #expect(try client.frames().map(\.opcode) == [9])
        harness.advance(by: .seconds(6))
        let last = try client.frames()
        #expect(last.last?.closeCode == 4001)
        #expect(last.contains { $0.text.contains(#""code":"heartbeat_timeout""#) && $0.text.contains(#""fatal":true"#) })
    }

    @Test func `any received byte keeps the connection alive`() throws {
        let harness = LoopHarness {
            $0.heartbeat.interval = .seconds(5)
            $0.heartbeat.timeout = .seconds(1)
            $0.heartbeat.staleAfter = .seconds(8)
        }
        let client = try harness.openSession()
        for _ in 0..<10 {
            harness.advance(by: .seconds(6))
            try client.send([0x81])
            try client.send([0x80, 1, 2, 3, 4])
        }
        #expect(try client.frames().allSatisfy { $0.closeCode == nil })
    }

    @Test func `status reports the round-trip time measured by a pong`() throws {
        let harness = LoopHarness()
        let client = try harness.openSession()
        harness.advance(by: .seconds(31))
        let ping = try #require(try client.frames().first { $0.opcode == 9 })
        harness.loop.clock.manual? += 25_000_000
        try client.send(frame: 0x8A, ping.payload)
        try client.send(text: #"{"type":"status"}"#)
        let report = try #require(try client.frames().last?.text)
        #expect(report.contains(#""rtt_ms":"#) && !report.contains(#""rtt_ms":null"#))
    }

    @Test func `a suspension of the process doesn't expire connections`() throws {
        let harness = LoopHarness()
        let client = try harness.openSession()
        harness.advance(by: .seconds(1))
        harness.loop.clock.manual? += Duration.seconds(90).clampedNanoseconds
        harness.shard.tick()
        harness.advance(by: .seconds(2))
        try client.send(text: #"{"type":"ping"}"#)
        let frames = try client.frames()
        #expect(frames.allSatisfy { $0.closeCode == nil })
        #expect(frames.contains { $0.text.hasPrefix(#"{"type":"pong""#) })
    }

    @Test func `the age limit is announced with goaway, then closes with 4003`() throws {
        let harness = LoopHarness { $0.connections.maxAge = .seconds(20) }
        let client = try harness.openSession()
        harness.advance(by: .milliseconds(17_900))
        #expect(try client.frames().isEmpty)
        harness.advance(by: .seconds(1))
        #expect(try client.frames().map(\.text).contains { $0.hasPrefix(#"{"type":"goaway","reason":"connection_age""#) })
        // The session handles messages until the close.
        try client.send(text: #"{"type":"ping","id":"p1"}"#)
        #expect(try client.frames().map(\.text).contains { $0.hasPrefix(#"{"type":"pong","id":"p1""#) })
        harness.advance(by: .seconds(2))
        #expect(try client.frames().last?.closeCode == 4003)
    }

    @Test func `an idle session is closed with 4502`() throws {
        let harness = LoopHarness {
            $0.sessions.idle = .seconds(5)
            $0.websocket.closeTimeout = .seconds(1)
        }
        let client = try harness.openSession()
        harness.advance(by: .milliseconds(4400))
        #expect(try client.frames().isEmpty)
        harness.advance(by: .milliseconds(1200))
        #expect(try client.frames().last?.closeCode == 4502)
        harness.advance(by: .milliseconds(1500))
        #expect(client.isClosed)
    }

    @Test func `chunks are acknowledged within a second even if no further chunk is received`() throws {
        let harness = LoopHarness()
        let client = try harness.openSession()
        try client.send(text: #"{"type":"audio","id":"s","format":{"codec":"pcm16","rate":16000,"channels":1}}"#)
        try client.send(binary: [0, 0, 1, 0])
        #expect(try client.frames().map(\.text) == [#"{"type":"ack","id":"s","chunks":0}"#])
        harness.advance(by: .milliseconds(1200))
        #expect(try client.frames().map(\.text) == [#"{"type":"ack","id":"s","chunks":1}"#])
    }

    @Test(arguments: [(1000, 1000), (3000, 3000), (4999, 4999), (1005, 1002), (999, 1002)] as [(UInt16, UInt16)])
    func `the reply to a close frame has the same code if that code may be sent`(sent: UInt16, replied: UInt16) throws {
        let client = try LoopHarness().openSession()
        try client.send(frame: 0x88, [UInt8(sent >> 8), UInt8(sent & 0xFF)])
        #expect(try client.frames().map(\.closeCode) == [replied])
    }

    @Test func `pings of one read get pongs in order`() throws {
        let client = try LoopHarness().openSession()
        var bytes: [UInt8] = []
        for number in 0..<10 as Range<UInt8> { bytes += [0x89, 0x81, 0, 0, 0, 0, number] }
        try client.send(bytes)
        #expect(try client.frames() == (0..<10).map { EmbeddedConnection.Frame(opcode: 10, payload: [$0]) })
    }

    @Test func `over the byte limit, only the newest ping of a read gets a pong`() throws {
        let client = try LoopHarness { $0.limits.bytesPerSecond = 16 }.openSession()
        var bytes: [UInt8] = []
        for number in 0..<10 as Range<UInt8> { bytes += [0x89, 0x81, 0, 0, 0, 0, number] }
        try client.send(bytes)
        #expect(try client.frames() == [0, 9].map { EmbeddedConnection.Frame(opcode: 10, payload: [$0]) })
    }

    @Test func `expected pongs don't count against the limits; others do`() throws {
        let harness = LoopHarness {
            $0.limits.bytesPerSecond = 1
            $0.limits.refusalsPerMinute = 1
        }
        let client = try harness.openSession()
        var payload: [UInt8] = []
        for _ in 0..<10 {
            harness.advance(by: .seconds(31))
            payload = try #require(try client.frames().first { $0.opcode == 9 }).payload
            try client.send(frame: 0x8A, payload)
        }
        #expect(try client.frames().isEmpty)
        for _ in 0..<4 { try client.send(frame: 0x8A, payload) }
        #expect(try client.frames().contains { $0.closeCode == 4505 })
    }

    @Test func `while the socket isn't writable, only the newest ping gets a pong`() throws {
        let client = try LoopHarness().openSession()
        client.channel.isWritable = false
        for number in 0..<200 as Range<UInt8> { try client.send([0x89, 0x81, 0, 0, 0, 0, number]) }
        #expect(try client.frames().isEmpty)
        client.channel.isWritable = true
        client.channel.pipeline.fireChannelWritabilityChanged()
        #expect(try client.frames() == [EmbeddedConnection.Frame(opcode: 10, payload: [199])])
    }

    @Test func `a client that sends requests without reading is closed with 4002 when the socket queue is full`() throws {
        let client = try LoopHarness { $0.delivery.socketQueueBytes = 5000 }.openSession()
        client.channel.isWritable = false
        for _ in 0..<20 { try client.send(text: #"{"type":"status"}"#) }
        client.channel.isWritable = true
        client.channel.pipeline.fireChannelWritabilityChanged()
        let frames = try client.frames()
        #expect(frames.filter { $0.opcode == 8 }.map(\.closeCode) == [4002])
        #expect(frames.last?.opcode == 8)
        #expect(frames.dropLast().last?.text.contains(#""code":"slow_consumer""#) == true)
        #expect(frames.count < 20)
    }

    @Test func `a message over the limit is rejected at its header with a fatal error and 1009`() throws {
        let client = try LoopHarness { $0.websocket.maxMessageBytes = 1000 }.openSession()
        try client.send([0x81, 0xFE, 0x03, 0xE9, 0, 0, 0, 0])
        let frames = try client.frames()
        #expect(frames.first?.text.contains(#""code":"message_too_large""#) == true)
        #expect(frames.last?.closeCode == 1009)
    }

    @Test func `draining sends goaway and then closes with 1012`() throws {
        let harness = LoopHarness()
        let client = try harness.openSession()
        harness.shard.connections.goAway(reason: "draining", deadlineMilliseconds: 1200)
        harness.shard.connections.closeAll(Closing(code: .restart, reason: "draining"))
        let frames = try client.frames()
        #expect(frames.first?.text == #"{"type":"goaway","reason":"draining","deadline_ms":1200}"#)
        #expect(frames.last?.closeCode == 1012)
    }

    @Test func `a closed connection releases everything it held`() throws {
        let harness = LoopHarness()
        let client = try harness.openSession()
        #expect(harness.shared.connectionLimits.webSockets == 1)
        #expect(harness.shared.sessions.attached == 1)
        _ = try? client.channel.finish()
        harness.eventLoop.runPendingTasks()
        #expect(harness.shared.connectionLimits.webSockets == 0)
        #expect(harness.shared.sessions.attached == 0 && harness.shared.sessions.detached == 1)
        harness.advance(by: .seconds(121))
        #expect(harness.shared.sessions.detached == 0)
        #expect(harness.shard.connections.isEmpty)
    }

    /// The header of a masked frame with a payload of 17 bytes has 6 bytes; an incomplete payload is counted as `assembler`.
    @Test(arguments: [(0, 0), (1, 1), (5, 5), (6, 0), (7, 0)]) func `status reports the bytes of an incomplete frame header`(
        sent: Int, reported: Int
    ) throws {
        let client = try LoopHarness().openSession()
        let frame = TestFrame(TestFrame.text, text: #"{"type":"status"}"#).bytes
        try client.send(frame[..<sent])
        try client.send(frame[sent...])
        let status = try #require(try client.frames().last)
        #expect(try JSON(status.text)["memory"]["receive_buffer"] == .number(Double(reported)))
        // The header is complete now.
        try client.send(text: #"{"type":"status"}"#)
        let next = try #require(try client.frames().last)
        #expect(try JSON(next.text)["memory"]["receive_buffer"] == .number(0))
    }
}

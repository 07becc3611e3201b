// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayServer

/// The counters of an event loop, driven by connections and sessions.
@Suite struct LoopMetricsTests {
    private func disconnect(_ connection: EmbeddedConnection, of harness: LoopHarness) {
        _ = try? connection.channel.finish()
        harness.eventLoop.runPendingTasks()
    }

    private func close(_ connection: EmbeddedConnection, code: UInt16, of harness: LoopHarness) throws {
        try connection.send(frame: 0x88, [UInt8(code >> 8), UInt8(truncatingIfNeeded: code)])
        disconnect(connection, of: harness)
    }

    private func closes(_ harness: LoopHarness) -> [String] {
        zip(CloseInitiator.allCases, harness.loop.metrics.closes).flatMap { initiator, closes in
            closes.all.filter { $0.count > 0 }.map { "\(initiator.label) \($0.label.label) \($0.count)" }
        }
    }

    @Test func `a close is counted by its code and by the party that closed first`() throws {
        let harness = LoopHarness()
        try close(try harness.openSession(), code: 1000, of: harness)
        try close(try harness.openSession(), code: 4999, of: harness)
        let left = try harness.openSession()
        try left.send(text: #"{"type":"bye"}"#)
        disconnect(left, of: harness)
        disconnect(try harness.openSession(), of: harness)
        #expect(closes(harness) == ["client 1000 1", "client 3000 1", "gateway 1000 1", "network 1006 1"])
        #expect(harness.loop.metrics.accepted == 4)
        #expect(harness.loop.metrics.endings[.bye] == 1 && harness.loop.metrics.endings.total == 1)
    }

    @Test(arguments: [
        ("/nowhere", "", ConnectionRejection.notFound), ("/v1/ws", "Origin: https://evil.example\r\n", .origin),
        ("/v1/ws?token=x", "", .unauthenticated), ("/v1/ws", "Sec-WebSocket-Key: x\r\n", .invalidRequest),
    ])
    func `a rejected request is counted by its reason`(path: String, headers: String, reason: ConnectionRejection) throws {
        let harness = LoopHarness { configuration in
            configuration.http.allowedOrigins = ["https://good.example"]
            configuration.http.queryTokens = false
        }
        let connection = try harness.connect()
        try connection.send(EmbeddedConnection.request(path: path, headers: headers))
        #expect(try connection.responseHead().hasPrefix("HTTP/1.1 4"))
        #expect(harness.loop.metrics.rejections[reason] == 1 && harness.loop.metrics.rejections.total == 1)
        #expect(harness.loop.metrics.errors.total == 1)
    }

    @Test func `a connection that sends no request is counted as timed out`() throws {
        let harness = LoopHarness()
        let connection = try harness.connect()
        harness.advance(by: .seconds(60))
        #expect(connection.isClosed)
        #expect(harness.loop.metrics.rejections[.timeout] == 1)
        // The connection had no TLS handshake to fail.
        #expect(harness.loop.metrics.handshakeFailures.total == 0)
    }

    @Test func `an attempt to resume is counted by its outcome`() throws {
        let harness = LoopHarness()
        let first = try harness.connect()
        try first.upgrade()
        let session = try JSON(try #require(try first.frames().first).text)
        disconnect(first, of: harness)
        for token in [session["resume_token"].string ?? "", String(repeating: "A", count: 43)] {
            let connection = try harness.connect()
            try connection.upgrade(headers: "Parley-Resume: \(token)\r\n")
            disconnect(connection, of: harness)
        }
        #expect(harness.loop.metrics.resumes[.resumed] == 1 && harness.loop.metrics.resumes[.unknown] == 1)
        #expect(harness.loop.metrics.resumes.total == 2)
    }

    @Test func `sent messages are counted by type, and each received message has a handling time`() throws {
        let harness = LoopHarness()
        let connection = try harness.openSession()
        let texts = (1...3).flatMap { EmbeddedConnection.masked(frame: 0x81, Array(#"{"type":"text","id":"m\#($0)","text":"x"}"#.utf8)) }
        try connection.send(texts)
        try connection.send(text: "{")
        let sent = harness.loop.metrics.outbound.all.filter { $0.count > 0 }.map { "\($0.label.label) \($0.count)" }
        #expect(sent == ["session 1", "text 3", "ack 3", "error 1"])
        #expect(harness.loop.metrics.handlingTime.count == 4)
        #expect(harness.loop.metrics.inbound[.text] == 3 && harness.loop.metrics.inbound[.invalid] == 1)
        #expect(harness.loop.metrics.errors[.invalidJSON] == 1)
        #expect(harness.loop.metrics.errorExemplars[ErrorCode.invalidJSON.ordinal] != nil)
        #expect(harness.loop.counters.messagesIn == 4 && harness.loop.counters.messagesOut == 8)
    }

    @Test func `the round-trip time of a pong is recorded, that of an unsolicited one isn't`() throws {
        let harness = LoopHarness { $0.heartbeat.interval = .seconds(1) }
        let connection = try harness.openSession()
        harness.advance(by: .milliseconds(1600))
        let ping = try #require(try connection.frames().last)
        #expect(ping.opcode == 9)
        harness.loop.clock.manual? += 70_000_000
        try connection.send(frame: 0x8A, [1, 2, 3])
        #expect(harness.loop.metrics.pingTime.count == 0)
        try connection.send(frame: 0x8A, ping.payload)
        #expect(harness.loop.metrics.pingTime.count == 1)
        #expect(harness.loop.metrics.pingTime.sum >= 70_000_000)
    }

    @Test func `every session is surveyed, and the parts add up to what the loop accounts`() throws {
        let harness = LoopHarness()
        var connections: [EmbeddedConnection] = []
        for number in 0..<40 {
            let connection = try harness.openSession(from: "192.0.2.\(number)")
            try connection.send(text: #"{"type":"text","id":"a","text":"hello"}"#)
            connections.append(connection)
        }
        disconnect(connections[0], of: harness)
        // The survey that began before the sessions ends, and the next one begins.
        harness.advance(by: .seconds(7))
        let metrics = harness.loop.metrics
        #expect(metrics.sessionMemory.count >= 40)
        #expect(metrics.socketQueue.count == metrics.sessionMemory.count / 40 * 39)
        #expect(harness.loop.gauges.memoryParts.reduce(0, +) == harness.loop.memory)
        #expect(harness.loop.gauges.memoryParts[MemoryPart.base.rawValue] == 40 * MemoryUsage.base)
        #expect(harness.loop.gauges.memoryParts[MemoryPart.history.rawValue] > 0)
    }

    @Test func `a client that doesn't read is counted once`() throws {
        let harness = LoopHarness { $0.delivery.socketQueueBytes = 5000 }
        let client = try harness.openSession()
        client.channel.isWritable = false
        for _ in 0..<20 { try client.send(text: #"{"type":"status"}"#) }
        #expect(harness.loop.metrics.slowConsumers == 1)
        #expect(harness.loop.metrics.errors[.slowConsumer] == 1)
        disconnect(client, of: harness)
        #expect(closes(harness) == ["gateway 4002 1"])
    }

    @Test func `the delay of the timer is recorded`() {
        let harness = LoopHarness()
        harness.advance(by: .milliseconds(300))
        let before = harness.loop.metrics.lag
        harness.loop.clock.manual? += 30_000_000
        harness.advance(by: .milliseconds(100))
        #expect(harness.loop.metrics.lag.count == before.count + 1)
        #expect(harness.loop.metrics.lag.sum == before.sum + 30_000_000)
    }

    @Test func `the utilization is the thread's share of the time between two readings`() {
        let gauges = LoopGauges()
        gauges.measureUtilization(now: Instant(nanoseconds: 0), thread: 500)
        #expect(gauges.utilization == 0)
        gauges.measureUtilization(now: Instant(nanoseconds: 1000), thread: 750)
        #expect(gauges.utilization == 0.25)
        gauges.measureUtilization(now: Instant(nanoseconds: 2000), thread: 2750)
        #expect(gauges.utilization == 1)
        #expect(LoopGauges.threadNanoseconds() > 0)
    }

    @Test func `a reading shares no memory with the loop, and the readings of two loops are added`() {
        let harness = LoopHarness()
        harness.loop.metrics.inbound.add(.text)
        let reading = LoopReading(of: harness.loop)
        harness.loop.metrics.inbound.add(.text)
        #expect(reading.metrics.inbound[.text] == 1)
        #expect(LoopReading.total([reading, LoopReading(of: harness.loop)]).inbound[.text] == 3)
    }
}

// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayServer

@Suite struct DemandQueueTests {
    private func sendText(_ connection: EmbeddedConnection, words: Int) throws {
        let text = [String](repeating: "w", count: words).joined(separator: " ")
        let message = Array(#"{"type":"text","id":"m","text":"\#(text)"}"#.utf8)
        try connection.channel.writeInbound(ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x81, message)))
    }

    @Test func `a long response lets the event loop poll its sockets`() throws {
        let harness = LoopHarness()
        let long = try harness.openSession()
        try sendText(long, words: 49_000)
        // Tasks that a task submits run in the same pass. A slice of 0.5 ms isn't enough for 49,000 messages on any machine.
        harness.eventLoop.run()
        let first = try long.frames()
        #expect(first.count > 1)
        #expect(first.last?.text.contains(#""done":true"#) == false)
        // Another client's message doesn't wait for the rest of the response.
        let other = try harness.connect()
        try other.upgrade()
        #expect(try other.frames().count == 1)
        harness.eventLoop.runPendingTasks()
        #expect(try long.frames().last?.text.contains(#""done":true"#) == true)
    }

    @Test func `responses of several sessions are all delivered`() throws {
        let harness = LoopHarness()
        let clients = try (0..<3).map { _ in try harness.openSession() }
        for client in clients { try sendText(client, words: 5000) }
        harness.eventLoop.runPendingTasks()
        for client in clients {
            // The acknowledgement, then one message per word.
            let frames = try client.frames()
            #expect(frames.count == 5001)
            #expect(frames.last?.text.contains(#""done":true"#) == true)
        }
    }

    @Test func `a session that ends while queued doesn't block the others`() throws {
        let harness = LoopHarness()
        let closed = try harness.openSession()
        let open = try harness.openSession()
        try sendText(closed, words: 5000)
        try sendText(open, words: 5000)
        closed.channel.close(promise: nil)
        harness.eventLoop.runPendingTasks()
        #expect(try open.frames().count == 5001)
    }
}

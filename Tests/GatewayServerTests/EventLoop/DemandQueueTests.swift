import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayServer

@Suite struct DemandQueueTests {
    private func ask(_ connection: EmbeddedConnection, words: Int) throws {
        let text = [String](repeating: "w", count: words).joined(separator: " ")
        let message = Array(#"{"type":"text","id":"m","text":"\#(text)"}"#.utf8)
        try connection.channel.writeInbound(ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x81, message)))
    }

    @Test func `a long answer lets the loop look at its sockets`() throws {
        let harness = LoopHarness()
        let greedy = try harness.openSession()
        try ask(greedy, words: 49_000)
        // What a task adds runs in the same go. A slice of half a millisecond isn't enough for 49,000 messages on any machine.
        harness.eventLoop.run()
        let first = try greedy.frames()
        #expect(first.count > 1)
        #expect(first.last?.text.contains(#""done":true"#) == false)
        // Another client's message isn't behind all of the rest.
        let modest = try harness.connect()
        try modest.upgrade()
        #expect(try modest.frames().count == 1)
        harness.eventLoop.settle()
        #expect(try greedy.frames().last?.text.contains(#""done":true"#) == true)
    }

    @Test func `answers of several sessions take turns`() throws {
        let harness = LoopHarness()
        let clients = try (0..<3).map { _ in try harness.openSession() }
        for client in clients { try ask(client, words: 5000) }
        harness.eventLoop.settle()
        for client in clients {
            // The acknowledgement, then word after word.
            let frames = try client.frames()
            #expect(frames.count == 5001)
            #expect(frames.last?.text.contains(#""done":true"#) == true)
        }
    }

    @Test func `a session that ends while it waits is passed over`() throws {
        let harness = LoopHarness()
        let gone = try harness.openSession()
        let stays = try harness.openSession()
        try ask(gone, words: 5000)
        try ask(stays, words: 5000)
        gone.channel.close(promise: nil)
        harness.eventLoop.settle()
        #expect(try stays.frames().count == 5001)
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOCore
import NIOEmbedded
import Support
import Synchronization
import Testing

/// Acknowledgements that are delayed to share a write with the response.
@Suite struct DelayedAckQueueTests {
    /// A link that responds when the test calls ``respond()``.
    private final class ManualLink: UpstreamLink {
        private(set) var requests: [RequestKey] = []
        private var receiver: (any UpstreamEventSink)?

        init(_ receiver: any UpstreamEventSink) { self.receiver = receiver }

        var isSynchronous: Bool { false }
        var heldBytes: Int { 0 }

        func send(_ command: UpstreamCommand, audio: [UInt8]) {
            if case .start(let request) = command { requests.append(request.key) }
        }

        func respond() {
            guard !requests.isEmpty else { return }
            receiver?.deliver(UpstreamEvent(requests.removeFirst(), .text([0x61], final: true), isLast: true))
        }

        func demand(_ events: Int) {}
        func withdraw() -> Int { 0 }
        func detach() { receiver = nil }
        func move(to session: any UpstreamEventSink & ConversationSource, on eventLoop: any EventLoop) { receiver = session }
        func close() { receiver = nil }
    }

    private final class ManualLinkFactory: UpstreamLinkFactory {
        var links: [ManualLink] = []

        func makeLink(for session: any UpstreamEventSink & ConversationSource, id: ULID) -> any UpstreamLink {
            links.append(ManualLink(session))
            return links[links.count - 1]
        }

        func tick(now: Instant) {}
        func reload() {}
        func shutDown() {}
    }

    private final class ManualProvider: UpstreamProvider {
        private let factory = Mutex<NIOLoopBound<ManualLinkFactory>?>(nil)

        func makeLinkFactory(on eventLoop: any EventLoop, now: @escaping () -> Instant) -> any UpstreamLinkFactory {
            let made = ManualLinkFactory()
            factory.withLock { $0 = NIOLoopBound(made, eventLoop: eventLoop) }
            return made
        }

        var links: [ManualLink] { factory.withLock { $0 }?.value.links ?? [] }
        var state: UpstreamState { .ready }
        var paths: Set<String> { [] }
        var statistics: [UpstreamStatistics] { [] }
    }

    private let provider: ManualProvider
    private let harness: LoopHarness

    init() {
        let provider = ManualProvider()
        self.provider = provider
        harness = LoopHarness(upstream: provider)
    }

    private func sendText(_ connection: EmbeddedConnection, _ id: String) throws {
        let message = Array(#"{"type":"text","id":"\#(id)","text":"hello"}"#.utf8)
        try connection.channel.writeInbound(ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x81, message)))
    }

    private func advance(milliseconds: Int64) {
        harness.loop.clock.manual? += milliseconds * 1_000_000
        harness.eventLoop.advanceTime(by: .milliseconds(milliseconds))
    }

    @Test func `the acknowledgement and a fast response are sent in one write`() throws {
        let client = try harness.openSession()
        try sendText(client, "a")
        advance(milliseconds: 4)
        #expect(try client.frames().isEmpty)
        provider.links[0].respond()
        var writes = 0
        var bytes = ByteBuffer()
        while var write = try client.channel.readOutbound(as: ByteBuffer.self) {
            writes += 1
            bytes.writeBuffer(&write)
        }
        #expect(writes == 1)
        let text = String(buffer: bytes)
        #expect(text.contains(#"{"type":"ack","id":"a"}"#) && text.contains(#""reply_to":"a""#))
        // No acknowledgement is pending.
        advance(milliseconds: 200)
        #expect(try client.frames().isEmpty)
    }

    @Test func `an acknowledgement is sent alone when the response is slow`() throws {
        let client = try harness.openSession()
        try sendText(client, "a")
        advance(milliseconds: 5)
        #expect(try client.frames().isEmpty)
        advance(milliseconds: 1)
        #expect(try client.frames().map(\.text) == [#"{"type":"ack","id":"a"}"#])
        advance(milliseconds: 300)
        provider.links[0].respond()
        #expect(try client.frames().count == 1)
        // The upstream is known to be slow now, so the next acknowledgement isn't delayed.
        try sendText(client, "b")
        #expect(try client.frames().map(\.text) == [#"{"type":"ack","id":"b"}"#])
    }

    @Test func `the delay of an acknowledgement depends on the response times of its own session`() throws {
        let (slow, quick) = (try harness.openSession(), try harness.openSession())
        try sendText(slow, "a")
        advance(milliseconds: 40)
        provider.links[0].respond()
        #expect(try slow.frames().count == 2)
        // The delays are 80 ms and 5 ms.
        try sendText(slow, "b")
        try sendText(quick, "a")
        advance(milliseconds: 6)
        #expect(try quick.frames().map(\.text) == [#"{"type":"ack","id":"a"}"#])
        #expect(try slow.frames().isEmpty)
        advance(milliseconds: 74)
        #expect(try slow.frames().isEmpty)
        advance(milliseconds: 1)
        #expect(try slow.frames().map(\.text) == [#"{"type":"ack","id":"b"}"#])
    }

    @Test func `a second message flushes the delayed acknowledgement of the first`() throws {
        let client = try harness.openSession()
        try sendText(client, "a")
        try sendText(client, "b")
        #expect(try client.frames().map(\.text) == [#"{"type":"ack","id":"a"}"#, #"{"type":"ack","id":"b"}"#])
        advance(milliseconds: 200)
        #expect(try client.frames().isEmpty)
    }

    @Test func `a connection that closes during the delay is removed; the others get their acknowledgements`() throws {
        let clients = try (0..<3).map { _ in try harness.openSession() }
        for client in clients { try sendText(client, "a") }
        clients[0].channel.close(promise: nil)
        advance(milliseconds: 6)
        for client in clients[1...] { #expect(try client.frames().map(\.text) == [#"{"type":"ack","id":"a"}"#]) }
        #expect(try clients[0].frames().isEmpty)
    }

    @Test func `a delayed acknowledgement is sent before the close frame`() throws {
        let client = try harness.openSession()
        try sendText(client, "a")
        try client.channel.writeInbound(ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x88, [0x03, 0xE8])))
        let frames = try client.frames()
        #expect(frames.first?.text == #"{"type":"ack","id":"a"}"#)
        #expect(frames.last?.closeCode == 1000)
    }
}

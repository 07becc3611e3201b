import GatewayCore
import GatewayServer
import NIOCore
import NIOEmbedded
import Support
import Synchronization
import Testing

/// Acknowledgements that wait for the answer to go with.
@Suite struct DelayedAckQueueTests {
    /// Answers when it is told to.
    private final class HandLink: UpstreamLink {
        private(set) var requests: [RequestKey] = []
        private var receiver: (any UpstreamEventSink)?

        init(_ receiver: any UpstreamEventSink) { self.receiver = receiver }

        var isAtOnce: Bool { false }
        var heldBytes: Int { 0 }

        func send(_ command: UpstreamCommand, audio: [UInt8]) {
            if case .start(let request) = command { requests.append(request.key) }
        }

        func answer() {
            guard !requests.isEmpty else { return }
            receiver?.deliver(UpstreamEvent(requests.removeFirst(), .text([0x61], final: true), isLast: true))
        }

        func demand(_ events: Int) {}
        func withdraw() -> Int { 0 }
        func leave() { receiver = nil }
        func move(to session: any UpstreamEventSink & ConversationSource, on eventLoop: any EventLoop) { receiver = session }
        func close() { receiver = nil }
    }

    private final class HandLoop: UpstreamLoop {
        var links: [HandLink] = []

        func makeLink(for session: any UpstreamEventSink & ConversationSource, id: ULID) -> any UpstreamLink {
            links.append(HandLink(session))
            return links[links.count - 1]
        }

        func tick(now: Instant) {}
        func reload() {}
        func shutDown() {}
    }

    private final class HandProvider: UpstreamProvider {
        private let made = Mutex<NIOLoopBound<HandLoop>?>(nil)

        func makeLoop(on eventLoop: any EventLoop, now: @escaping () -> Instant) -> any UpstreamLoop {
            let loop = HandLoop()
            made.withLock { $0 = NIOLoopBound(loop, eventLoop: eventLoop) }
            return loop
        }

        var links: [HandLink] { made.withLock { $0 }?.value.links ?? [] }
        var state: UpstreamState { .ready }
        var paths: Set<String> { [] }
        var statistics: [UpstreamStatistics] { [] }
    }

    private let provider: HandProvider
    private let harness: LoopHarness

    init() {
        let provider = HandProvider()
        self.provider = provider
        harness = LoopHarness(upstream: provider)
    }

    private func ask(_ connection: EmbeddedConnection, _ id: String) throws {
        let message = Array(#"{"type":"text","id":"\#(id)","text":"hello"}"#.utf8)
        try connection.channel.writeInbound(ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x81, message)))
    }

    private func pass(milliseconds: Int64) {
        harness.loop.clock.manual? += milliseconds * 1_000_000
        harness.eventLoop.advanceTime(by: .milliseconds(milliseconds))
    }

    @Test func `the acknowledgement goes with an answer that comes soon, in one write`() throws {
        let client = try harness.openSession()
        try ask(client, "a")
        pass(milliseconds: 4)
        #expect(try client.frames().isEmpty)
        provider.links[0].answer()
        var writes = 0
        var bytes = ByteBuffer()
        while var write = try client.channel.readOutbound(as: ByteBuffer.self) {
            writes += 1
            bytes.writeBuffer(&write)
        }
        #expect(writes == 1)
        let text = String(buffer: bytes)
        #expect(text.contains(#"{"type":"ack","id":"a"}"#) && text.contains(#""reply_to":"a""#))
        // Nothing waits any more.
        pass(milliseconds: 200)
        #expect(try client.frames().isEmpty)
    }

    @Test func `it goes alone when the answer doesn't come soon`() throws {
        let client = try harness.openSession()
        try ask(client, "a")
        pass(milliseconds: 5)
        #expect(try client.frames().isEmpty)
        pass(milliseconds: 1)
        #expect(try client.frames().map(\.text) == [#"{"type":"ack","id":"a"}"#])
        pass(milliseconds: 300)
        provider.links[0].answer()
        #expect(try client.frames().count == 1)
        // That this upstream takes its time is known by now.
        try ask(client, "b")
        #expect(try client.frames().map(\.text) == [#"{"type":"ack","id":"b"}"#])
    }

    @Test func `each waits as long as its own session's answers take`() throws {
        let (slow, quick) = (try harness.openSession(), try harness.openSession())
        try ask(slow, "a")
        pass(milliseconds: 40)
        provider.links[0].answer()
        #expect(try slow.frames().count == 2)
        // 80 ms, and 5.
        try ask(slow, "b")
        try ask(quick, "a")
        pass(milliseconds: 6)
        #expect(try quick.frames().map(\.text) == [#"{"type":"ack","id":"a"}"#])
        #expect(try slow.frames().isEmpty)
        pass(milliseconds: 74)
        #expect(try slow.frames().isEmpty)
        pass(milliseconds: 1)
        #expect(try slow.frames().map(\.text) == [#"{"type":"ack","id":"b"}"#])
    }

    @Test func `a second message takes the first acknowledgement along`() throws {
        let client = try harness.openSession()
        try ask(client, "a")
        try ask(client, "b")
        #expect(try client.frames().map(\.text) == [#"{"type":"ack","id":"a"}"#, #"{"type":"ack","id":"b"}"#])
        pass(milliseconds: 200)
        #expect(try client.frames().isEmpty)
    }

    @Test func `who goes away while it waits is forgotten, and the others aren't`() throws {
        let clients = try (0..<3).map { _ in try harness.openSession() }
        for client in clients { try ask(client, "a") }
        clients[0].channel.close(promise: nil)
        pass(milliseconds: 6)
        for client in clients[1...] { #expect(try client.frames().map(\.text) == [#"{"type":"ack","id":"a"}"#]) }
        #expect(try clients[0].frames().isEmpty)
    }

    @Test func `a close frame doesn't overtake it`() throws {
        let client = try harness.openSession()
        try ask(client, "a")
        try client.channel.writeInbound(ByteBuffer(bytes: EmbeddedConnection.masked(frame: 0x88, [0x03, 0xE8])))
        let frames = try client.frames()
        #expect(frames.first?.text == #"{"type":"ack","id":"a"}"#)
        #expect(frames.last?.closeCode == 1000)
    }
}

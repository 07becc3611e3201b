// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOEmbedded
import Support
import Synchronization
import Testing

@testable import GatewayServer

/// Backpressure: paused sockets and processes aren't read.
@Suite struct PausingTests {
    /// Counts reads of the socket.
    private final class Reads: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var count = 0

        func read(context: ChannelHandlerContext) { count += 1 }
    }

    private final class Owner: SocketOwner {
        var events: [String] = []
        func socketOpened() {}
        func socket(text: RawSpan) { events.append(String(decoding: (0..<text.byteCount).map { text.byte(at: $0) }, as: UTF8.self)) }
        func socket(binary: RawSpan) {}
        func socketIsWritable() {}
        func socketClosed(_ failure: CallFailure?) {}
    }

    /// Returns the frames of text messages as a server sends them. Each text must have at most 125 bytes.
    private func frames(_ texts: some Sequence<String>) -> ByteBuffer {
        var bytes = ByteBuffer()
        for text in texts {
            bytes.writeBytes([0x81, UInt8(text.utf8.count)])
            bytes.writeString(text)
        }
        return bytes
    }

    @Test func `a paused socket isn't read; resuming continues where it stopped`() throws {
        let channel = EmbeddedChannel()
        let (reads, owner) = (Reads(), Owner())
        let socket = UpstreamSocketHandler(owner: owner, maxMessageBytes: 1000)
        try channel.pipeline.syncOperations.addHandlers([reads, socket])
        socket.begin()
        channel.read()
        #expect(reads.count == 1)
        socket.setPaused(true)
        // The first time slice may end after one message on a busy machine.
        try channel.writeInbound(frames(["a", "b"]))
        channel.read()
        #expect(owner.events.first == "a")
        #expect(reads.count == 1)
        socket.setPaused(false)
        #expect(owner.events == ["a", "b"])
        #expect(reads.count == 2)
        // Without a pending read, pausing and resuming doesn't read again.
        socket.setPaused(true)
        socket.setPaused(false)
        #expect(reads.count == 2)
        channel.read()
        #expect(reads.count == 3)
    }

    @Test func `a flood of messages is parsed in time slices, in order and completely`() throws {
        let channel = EmbeddedChannel()
        let (reads, owner) = (Reads(), Owner())
        let socket = UpstreamSocketHandler(owner: owner, maxMessageBytes: 1000)
        try channel.pipeline.syncOperations.addHandlers([reads, socket])
        socket.begin()
        // Too many messages for one time slice on any machine.
        let messages = (0..<100_000).map { "m\($0)" }
        // The event loop's time isn't advanced, so only the first time slice runs.
        channel.pipeline.fireChannelRead(frames(messages))
        let first = owner.events.count
        #expect(first > 0 && first < messages.count)
        channel.read()
        #expect(reads.count == 0)
        while owner.events.count < messages.count { channel.embeddedEventLoop.advanceTime(by: .microseconds(20)) }
        #expect(owner.events == messages)
        #expect(reads.count == 1)
    }

    @Test func `deferred messages are delivered in order when the connection ends`() throws {
        let channel = EmbeddedChannel()
        let owner = Owner()
        let socket = UpstreamSocketHandler(owner: owner, maxMessageBytes: 1000)
        try channel.pipeline.syncOperations.addHandler(socket)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)
        socket.begin()
        let messages = (0..<50_000).map { "m\($0)" }
        // The second part arrives without a read, as at the end of a connection.
        for part in [messages[..<49_000], messages[49_000...]] { channel.pipeline.fireChannelRead(frames(part)) }
        #expect(owner.events.count < messages.count)
        _ = try? channel.finish()
        #expect(owner.events == messages)
    }

    /// A worker's pipes.
    private final class Pipes {
        let channel = EmbeddedChannel()
        let reads = Reads()
        let handler: WorkerHandler

        init(onUnusable: @escaping @Sendable () -> Void = {}) throws {
            handler = WorkerHandler(limit: 1000, onUnusable: onUnusable)
            try channel.pipeline.syncOperations.addHandlers([reads, handler])
        }

        func begin(_ receive: @escaping @Sendable (String) -> Void) {
            handler.begin(1, line: Array("{}\n".utf8)) { event in
                switch event {
                case .ready: receive("ready")
                case .read: receive("read")
                case .step: receive("step")
                case .consumed: receive("consumed")
                case .checkpoint: receive("checkpoint")
                case .failed(let failure): receive("failed: \(failure.reason.message)")
                case .stale: receive("stale")
                }
            }
        }

        func write(_ line: String) throws {
            try channel.writeInbound(ByteBuffer(string: line + "\n"))
        }
    }

    @Test func `a process is read again only after its events were handled`() throws {
        let pipes = try Pipes()
        let events = Mutex<[String]>([])
        pipes.begin { event in events.withLock { $0.append(event) } }
        pipes.channel.read()
        #expect(pipes.reads.count == 1)
        try pipes.write(#"{"type":"text","request":1,"text":"a"}"#)
        #expect(events.withLock { $0 } == ["ready", "read", "step", "checkpoint"])
        pipes.channel.read()
        #expect(pipes.reads.count == 1)
        pipes.handler.setPaused(true)
        pipes.handler.allowNextRead()
        #expect(pipes.reads.count == 1)
        pipes.handler.setPaused(false)
        #expect(pipes.reads.count == 2)
        // Between requests reading continues, so that unsolicited output is detected.
        try pipes.write(#"{"type":"text","request":1,"text":"b","final":true,"done":true}"#)
        pipes.channel.read()
        #expect(pipes.reads.count == 3)
        #expect(events.withLock { $0.last } == "step")
    }

    @Test func `a reaped worker releases its channel and handler`() throws {
        weak var weakWorker: ProcessWorker?
        weak var weakHandler: WorkerHandler?
        do {
            let worker = ProcessWorker(number: 1)
            let pipes = try Pipes { worker.kill() }
            (weakWorker, weakHandler) = (worker, pipes.handler)
            let bound = NIOLoopBound(pipes.handler, eventLoop: pipes.channel.eventLoop)
            #expect(worker.started(0, channel: pipes.channel, handler: bound))
            #expect(worker.handler != nil)
            worker.reaped()
            #expect(worker.handler == nil && worker.isKilled)
            _ = try pipes.channel.finish()
        }
        #expect(weakWorker == nil && weakHandler == nil)
    }
}

import GatewayCore
import NIOCore
import NIOEmbedded
import Support
import Synchronization
import Testing

@testable import GatewayServer

/// Upstreams that are read no faster than what they say is taken.
@Suite struct PausingTests {
    /// Counts what is asked of the socket.
    private final class Reads: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var count = 0

        func read(context: ChannelHandlerContext) { count += 1 }
    }

    private final class Owner: SocketOwner {
        var heard: [String] = []
        func socketOpened() {}
        func socket(text: RawSpan) { heard.append(String(decoding: (0..<text.byteCount).map { text.byte(at: $0) }, as: UTF8.self)) }
        func socket(binary: RawSpan) {}
        func socketIsWritable() {}
        func socketClosed(_ failure: CallFailure?) {}
    }

    /// Text messages as a server sends them; none is longer than 125 bytes.
    private func frames(_ texts: some Sequence<String>) -> ByteBuffer {
        var bytes = ByteBuffer()
        for text in texts {
            bytes.writeBytes([0x81, UInt8(text.utf8.count)])
            bytes.writeString(text)
        }
        return bytes
    }

    @Test func `a paused socket leaves what comes unread, and reads on where it stopped`() throws {
        let channel = EmbeddedChannel()
        let (reads, owner) = (Reads(), Owner())
        let socket = UpstreamSocketHandler(owner: owner, maxMessageBytes: 1000)
        try channel.pipeline.syncOperations.addHandlers([reads, socket])
        socket.begin()
        channel.read()
        #expect(reads.count == 1)
        socket.setPaused(true)
        // Of what had been read by then as much is heard as there is time for in one turn, which a busy machine cuts short.
        try channel.writeInbound(frames(["a", "b"]))
        channel.read()
        #expect(owner.heard.first == "a")
        #expect(reads.count == 1)
        socket.setPaused(false)
        #expect(owner.heard == ["a", "b"])
        #expect(reads.count == 2)
        // Nothing is owed twice.
        socket.setPaused(true)
        socket.setPaused(false)
        #expect(reads.count == 2)
        channel.read()
        #expect(reads.count == 3)
    }

    @Test func `a flood is taken in turns with other sockets, in order and whole`() throws {
        let channel = EmbeddedChannel()
        let (reads, owner) = (Reads(), Owner())
        let socket = UpstreamSocketHandler(owner: owner, maxMessageBytes: 1000)
        try channel.pipeline.syncOperations.addHandlers([reads, socket])
        socket.begin()
        // A slice isn't enough for so many on any machine.
        let said = (0..<100_000).map { "m\($0)" }
        // Without advancing the time of the loop, so that only the first turn is taken.
        channel.pipeline.fireChannelRead(frames(said))
        let first = owner.heard.count
        #expect(first > 0 && first < said.count)
        channel.read()
        #expect(reads.count == 0)
        while owner.heard.count < said.count { channel.embeddedEventLoop.advanceTime(by: .microseconds(20)) }
        #expect(owner.heard == said)
        #expect(reads.count == 1)
    }

    @Test func `what was left of a flood is heard in order when the connection ends`() throws {
        let channel = EmbeddedChannel()
        let owner = Owner()
        let socket = UpstreamSocketHandler(owner: owner, maxMessageBytes: 1000)
        try channel.pipeline.syncOperations.addHandler(socket)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)
        socket.begin()
        let said = (0..<50_000).map { "m\($0)" }
        // The second without having been asked for, as at the end of a connection.
        for part in [said[..<49_000], said[49_000...]] { channel.pipeline.fireChannelRead(frames(part)) }
        #expect(owner.heard.count < said.count)
        _ = try? channel.finish()
        #expect(owner.heard == said)
    }

    /// A worker's pipes, and what it has said.
    private final class Pipes {
        let channel = EmbeddedChannel()
        let reads = Reads()
        let handler: WorkerHandler

        init(broken: @escaping @Sendable () -> Void = {}) throws {
            handler = WorkerHandler(limit: 1000, broken: broken)
            try channel.pipeline.syncOperations.addHandlers([reads, handler])
        }

        func begin(_ receive: @escaping @Sendable (String) -> Void) {
            handler.begin(1, line: Array("{}\n".utf8)) { event in
                switch event {
                case .ready: receive("ready")
                case .heard: receive("heard")
                case .step: receive("step")
                case .took: receive("took")
                case .checkpoint: receive("checkpoint")
                case .failed(let failure): receive("failed: \(failure.reason.message)")
                case .stale: receive("stale")
                }
            }
        }

        func say(_ line: String) throws {
            try channel.writeInbound(ByteBuffer(string: line + "\n"))
        }
    }

    @Test func `a process isn't read faster than it is heard`() throws {
        let pipes = try Pipes()
        let heard = Mutex<[String]>([])
        pipes.begin { event in heard.withLock { $0.append(event) } }
        pipes.channel.read()
        #expect(pipes.reads.count == 1)
        try pipes.say(#"{"type":"text","request":1,"text":"a"}"#)
        #expect(heard.withLock { $0 } == ["ready", "heard", "step", "checkpoint"])
        pipes.channel.read()
        #expect(pipes.reads.count == 1)
        pipes.handler.setPaused(true)
        pipes.handler.readOn()
        #expect(pipes.reads.count == 1)
        pipes.handler.setPaused(false)
        #expect(pipes.reads.count == 2)
        // Between two requests it is read all the same: it has nothing to say then.
        try pipes.say(#"{"type":"text","request":1,"text":"b","final":true,"done":true}"#)
        pipes.channel.read()
        #expect(pipes.reads.count == 3)
        #expect(heard.withLock { $0.last } == "step")
    }

    @Test func `what is left of a process that has ended is given back`() throws {
        weak var forgotten: ProcessWorker?
        weak var pipe: WorkerHandler?
        do {
            let worker = ProcessWorker(number: 1)
            let pipes = try Pipes { worker.kill() }
            (forgotten, pipe) = (worker, pipes.handler)
            let bound = NIOLoopBound(pipes.handler, eventLoop: pipes.channel.eventLoop)
            #expect(worker.started(0, channel: pipes.channel, handler: bound))
            #expect(worker.handler != nil)
            worker.reaped()
            #expect(worker.handler == nil && worker.isKilled)
            _ = try pipes.channel.finish()
        }
        #expect(forgotten == nil && pipe == nil)
    }
}

import NIOCore
import NIOEmbedded
import Support

@testable import GatewayCore
@testable import GatewayServer
@testable import GatewayWebSocket

/// Bytes that are allocated and not freed, by the address sanitizer's count.
@_silgen_name("__sanitizer_get_current_allocated_bytes")
private func allocatedBytes() -> Int

/// One connection behind TLS, with a gateway of its own whose clock stands still unless it is moved.
final class Conversation {
    let harness: LoopHarness
    let channel: EmbeddedChannel
    let configuration: GatewayConfiguration
    private(set) var output: [UInt8] = []
    private let heldBefore: Int
    private var sends = 0
    /// Of the session's beginning: its containers keep their bounds when the configuration changes.
    private let first: SessionPolicy

    /// What may be held beside what is counted: 2 KB of handlers and channel, and what the process makes once, when it's first needed.
    private static let uncounted = 64 * 1024

    init(_ change: (inout GatewayConfiguration) -> Void) {
        var configured = GatewayConfiguration()
        harness = LoopHarness {
            change(&$0)
            configured = $0
        }
        configuration = configured
        first = harness.loop.settings.session.value
        // Not `self.harness`: the closure would take hold of all of `self`.
        let made = harness
        let channel = need { try made.connect() }.channel
        need { try channel.pipeline.syncOperations.addHandler(SendingSide(), position: .first) }
        self.channel = channel
        heldBefore = allocatedBytes()
    }

    deinit {
        // A channel that isn't closed keeps itself alive.
        if channel.isActive { channel.close(promise: nil) }
        harness.eventLoop.settle()
        // So does a session that waits for its client to come back.
        for driver in Array(harness.shard.sessions.all) { driver.end(.displaced) }
        harness.eventLoop.settle()
        harness.shared.removeMailboxes()
    }

    var isOpen: Bool { channel.isActive }

    /// The session's handler, once there is one.
    var socket: WebSocketHandler<SessionDriver>? {
        try? channel.pipeline.syncOperations.handler(type: WebSocketHandler<SessionDriver>.self)
    }

    func send(_ bytes: [UInt8]) {
        guard channel.isActive else { return }
        _ = need { try channel.writeInbound(ByteBuffer(bytes: bytes)) }
        collect()
        sends += 1
        if sends & 7 == 0 { checkHeap() }
    }

    func advance(by duration: Duration) {
        harness.advance(by: duration)
        collect()
        checkSession()
    }

    func setWritable(_ isWritable: Bool) {
        guard channel.isActive, channel.isWritable != isWritable else { return }
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
        collect()
    }

    /// Whatever happens on the loop without bytes.
    func turn(_ body: (GatewayShard) -> Void) {
        body(harness.shard)
        collect()
        checkSession()
    }

    /// All that was said. To be asked for before another conversation begins, which would be counted as held by this one.
    func log() -> ConversationLog {
        checkHeap()
        return ConversationLog(output)
    }

    private func collect() {
        harness.eventLoop.settle()
        while let buffer = need({ try channel.readOutbound(as: ByteBuffer.self) }) { output += buffer.readableBytesView }
    }

    /// The ledger is what is held, and what is held has its bounds.
    private func checkSession() {
        guard let socket, case .open = socket.state else { return }
        check(socket.application.session, of: socket)
    }

    private func check(_ session: borrowing Session, of socket: WebSocketHandler<SessionDriver>) {
        require(session.countedLedger().total == session.ledger.total, "the ledger is up to date after a turn")
        require(session.ledger.connection.assembler == socket.reader.bufferedBytes, "the ledger has what the reader holds")
        require(
            session.ledger.connection.deflate == socket.reader.deflateStateBytes + socket.writer.deflateStateBytes,
            "the ledger has what zlib holds")
        require(session.ledger.total <= session.policy.memoryBudget, "an open session is within its budget")
        require(session.history.count <= first.historyMessages, "the history has its bound")
        require(session.remembered.count <= first.duplicateIDs, "remembered ids have their bound")
        require(session.outbox.hasWaiting || session.outbox.count <= first.outboxMessages, "the outbox has its bound")
        require(!session.inFlight.isEmpty || session.inFlight.queuedBytes == 0, "an upstream with nothing to do holds nothing")
    }

    /// The ledger tells of all that is held, by the allocator's own count.
    private func checkHeap() {
        checkSession()
        guard let socket, case .open = socket.state else { return }
        let held = allocatedBytes() - heldBefore - output.capacity
        let ledger = socket.application.session.ledger.total
        let loop = loopBytes
        require(held <= ledger + loop + Self.uncounted, "the ledger's \(ledger) bytes and the loop's \(loop) are the \(held) that are held")
    }

    /// What the loop keeps for all its connections: scratch memory, and the zlib streams without context.
    private var loopBytes: Int {
        let loop = harness.loop
        let turn = loop.effects.replyBytes.capacity + loop.effects.audio.capacity + loop.effects.scratch.capacity
        return turn + loop.output.storageCapacity + loop.deflate.byteCount + loop.scanner.scratch.capacity
    }
}

/// Stands where the socket would: closing the sending side leaves the other open, which an embedded channel doesn't.
final class SendingSide: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    private(set) var isClosed = false

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .output else { return context.close(mode: mode, promise: promise) }
        isClosed = true
        promise?.succeed()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        require(!isClosed, "nothing is sent after the sending side was closed")
        context.write(data, promise: promise)
    }
}

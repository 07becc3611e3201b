// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import Support

@testable import GatewayCore
@testable import GatewayServer
@testable import GatewayWebSocket

/// Returns the number of allocated bytes, as counted by the address sanitizer.
@_silgen_name("__sanitizer_get_current_allocated_bytes")
private func allocatedBytes() -> Int

/// A connection without its TLS layer, to a gateway of its own whose clock only the test advances.
///
/// Invariants: The session's memory usage accounts for all memory that is held, up to a fixed allowance, and all containers respect their
/// bounds.
final class Conversation {
    let harness: LoopHarness
    let channel: EmbeddedChannel
    let configuration: GatewayConfiguration
    private(set) var output: [UInt8] = []
    private let heldBefore: Int
    private var sends = 0
    /// The policy at the session's start: its containers keep their bounds when the configuration is reloaded.
    private let initialPolicy: SessionPolicy

    /// The allowance for memory that isn't counted: 2 KB of handlers and channel, and lazily created global state.
    private static let uncountedAllowance = 64 * 1024

    init(_ change: (inout GatewayConfiguration) -> Void) {
        var configured = GatewayConfiguration()
        harness = LoopHarness {
            change(&$0)
            configured = $0
        }
        configuration = configured
        initialPolicy = harness.loop.settings.session.value
        // Not `self.harness`: the closure would capture `self`.
        let newHarness = harness
        let channel = must { try newHarness.connect() }.channel
        must { try channel.pipeline.syncOperations.addHandler(HalfCloseHandler(), position: .first) }
        self.channel = channel
        heldBefore = allocatedBytes()
    }

    deinit {
        // An open channel retains itself.
        if channel.isActive { channel.close(promise: nil) }
        harness.eventLoop.runPendingTasks()
        // So does a detached session that can be resumed.
        for driver in Array(harness.shard.sessions.all) { driver.end(.displaced) }
        harness.eventLoop.runPendingTasks()
        harness.shared.removeMailboxes()
    }

    var isOpen: Bool { channel.isActive }

    /// The WebSocket handler; nil before the upgrade.
    var socket: WebSocketHandler<SessionDriver>? {
        try? channel.pipeline.syncOperations.handler(type: WebSocketHandler<SessionDriver>.self)
    }

    func send(_ bytes: [UInt8]) {
        guard channel.isActive else { return }
        _ = must { try channel.writeInbound(ByteBuffer(bytes: bytes)) }
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

    /// Performs an action on the loop that isn't caused by received bytes.
    func perform(_ body: (GatewayShard) -> Void) {
        body(harness.shard)
        collect()
        checkSession()
    }

    /// Returns everything that the gateway sent. Call it before another conversation begins, whose memory would be attributed to this one.
    func log() -> ConversationLog {
        checkHeap()
        return ConversationLog(output)
    }

    private func collect() {
        harness.eventLoop.runPendingTasks()
        while let buffer = must({ try channel.readOutbound(as: ByteBuffer.self) }) { output += buffer.readableBytesView }
    }

    /// Checks the memory usage against the parts that it sums up, and the bounds of the containers.
    private func checkSession() {
        guard let socket, case .open = socket.state else { return }
        check(socket.application.session, of: socket)
    }

    private func check(_ session: borrowing Session, of socket: WebSocketHandler<SessionDriver>) {
        require(session.currentMemoryUsage().total == session.memoryUsage.total, "the memory usage is up to date after an input")
        require(session.memoryUsage.connection.assembler == socket.reader.bufferedBytes, "the memory usage includes the reader's buffer")
        require(
            session.memoryUsage.connection.deflate == socket.reader.deflateStateBytes + socket.writer.deflateStateBytes,
            "the memory usage includes zlib's state")
        require(session.memoryUsage.total <= session.policy.value.memoryBudget, "an open session doesn't exceed its memory budget")
        require(session.history.count <= initialPolicy.historyMessages, "the history is bounded")
        require(session.recentIDs.count <= initialPolicy.duplicateIDs, "the recent ids are bounded")
        require(session.outbox.hasWaiting || session.outbox.count <= initialPolicy.outboxMessages, "the outbox is bounded")
        require(!session.inFlight.isEmpty || session.inFlight.queuedBytes == 0, "without requests in flight no bytes are queued")
    }

    /// Checks the memory usage against the allocator's count.
    private func checkHeap() {
        checkSession()
        guard let socket, case .open = socket.state else { return }
        let held = allocatedBytes() - heldBefore - output.capacity
        let counted = socket.application.session.memoryUsage.total
        let loop = loopBytes
        require(held <= counted + loop + Self.uncountedAllowance, "\(held) bytes are held; counted: \(counted), loop: \(loop)")
    }

    /// The memory that the loop's connections share: scratch buffers, and the zlib streams without context takeover.
    private var loopBytes: Int {
        let loop = harness.loop
        let effects = loop.effects.replyBytes.capacity + loop.effects.audio.capacity + loop.effects.scratch.capacity
        return effects + loop.output.storageCapacity + loop.deflate.byteCount + loop.scanner.scratch.capacity
    }
}

/// Emulates half-closure at the head of the pipeline: an embedded channel would close entirely when its sending side is closed.
final class HalfCloseHandler: ChannelOutboundHandler {
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

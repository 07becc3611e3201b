import DequeModule
import GatewayCore
import GatewayTLS
import GatewayWebSocket
import NIOCore

/// Writes the replies of the turn and the messages of the application, in as few writes as possible.
extension WebSocketHandler {
    package func flush() {
        guard let context else { return }
        var writing = WritingState()
        if case .open = state {
            writing = application.prepareToWrite()
            if let delay = writing.replyDelay, mayDelayReply(writing) { return wait(delay) }
        }
        loop.delayedAcks.remove(self)
        var waits = false
        repeat {
            if let closing = loop.turn.closing { begin(closing) }
            pump(context, writing)
            waits = false
            // A closing connection has no application any more.
            if case .open = state { waits = application.written(report(context)) }
            // The session may be over its budget now: the close is sent in this turn, too.
        } while loop.turn.closing != nil
        if loop.output.storageCapacity > 4 * Application.writeSize { loop.output = ByteBuffer() }
        for error in loop.turn.incidents { loop.record(error, connection: connection.id, session: connection.sessionID) }
        loop.turn.incidents.removeAll(keepingCapacity: true)
        settle(waits: waits)
    }

    /// Delays the acknowledgement of this turn, to share a write with its response.
    private func wait(_ delay: Instant.Duration) {
        guard let reply = loop.turn.replies.first else { return }
        for index in 0..<reply.count { delayedAck[index] = loop.turn.replyBytes[reply.start + index] }
        delayedAckCount = reply.count
        loop.turn.clearReplies()
        loop.delayedAcks.append(self, until: loop.turn.now + delay)
        settle(waits: application.written(nil))
    }

    private func mayDelayReply(_ writing: WritingState) -> Bool {
        guard delayedAckIndex == nil, loop.turn.replies.count == 1, loop.turn.replies[0].count <= Self.maximumDelayedAck else {
            return false
        }
        return backlog.readableBytes == 0 && pendingPong == nil && writing.awaitedTicket == nil
    }

    /// Sends the acknowledgement whose response hasn't come in time.
    func flushDelayedAck() { turn {} }

    private func pump(_ context: ChannelHandlerContext, _ writing: WritingState) {
        while canSend(context) {
            loop.output.clear()
            collect(into: &loop.output, writing)
            guard loop.output.readableBytes > 0 else { break }
            write(loop.output, context: context)
        }
        guard !isWritable else { return }
        keepReplies(writing)
        if case .open = state, backlog.readableBytes > loop.settings.socketQueueBytes { slowConsumer() }
    }

    private func write(_ output: ByteBuffer, context: ChannelHandlerContext) {
        let count = UInt64(output.readableBytes)
        connection.bytesOut &+= count
        loop.counters.bytesOut &+= count
        progress.handOver(output.readableBytes)
        if let tls { tls.send(plaintext: output) } else { context.writeAndFlush(wrapOutboundOut(output), promise: nil) }
    }

    /// Whether what waits for the socket is little enough that more may be handed over.
    var isWritable: Bool { tls?.isClear == true || context?.channel.isWritable ?? false }

    private func canSend(_ context: ChannelHandlerContext) -> Bool {
        tls?.isClear == true || context.channel.isActive && context.channel.isWritable
    }

    /// What can go now, the oldest first: frames that had to wait, the newest pong, replies of this turn, then the application's.
    private func collect(into output: inout ByteBuffer, _ writing: WritingState) {
        if backlog.readableBytes > 0 {
            swap(&output, &backlog)
            backlog = ByteBuffer()
        }
        if let pong = pendingPong {
            pendingPong = nil
            if case .open = state { pong.withRawSpan { writer.writePong($0, to: &output) } }
        }
        writeDelayedAck(to: &output)
        collectReplies(into: &output, writing)
        if case .open = state { application.write(to: &output, writer: &writer) }
    }

    private func writeDelayedAck(to output: inout ByteBuffer) {
        guard delayedAckCount > 0 else { return }
        writer.write(.text, delayedAck.span.bytes.extracting(first: delayedAckCount), mayCompress: true, to: &output)
        delayedAckCount = 0
        connection.messagesOut &+= 1
        loop.counters.messagesOut &+= 1
    }

    /// The replies of the turn, or into ``held`` if they have to wait.
    private func collectReplies(into output: inout ByteBuffer, _ writing: WritingState) {
        guard !loop.turn.replies.isEmpty else { return }
        if case .open = state, let ticket = writing.awaitedTicket {
            if held.last?.ticket != ticket { held.append(HeldReplies(ticket: ticket)) }
            // Replies keep their order, but while the store fails only promises wait for it.
            loop.turn.hold(in: &held[held.count - 1], promisesOnly: writing.isGreeted && loop.turn.refusesWork)
        }
        writeReplies(to: &output)
    }

    private func writeReplies(to output: inout ByteBuffer) {
        write(loop.turn.replies, of: loop.turn.replyBytes, to: &output)
        loop.turn.clearReplies()
    }

    private func write(_ replies: [Effects.Reply], of bytes: [UInt8], to output: inout ByteBuffer) {
        bytes.withRawSpan { bytes in
            for reply in replies {
                let message = bytes.extracting(reply.start..<reply.start + reply.count)
                writer.write(.text, message, mayCompress: reply.mayCompress, to: &output)
            }
        }
        connection.messagesOut &+= UInt64(replies.count)
        loop.counters.messagesOut &+= UInt64(replies.count)
    }

    /// Keeps the replies of this turn until the socket takes them.
    private func keepReplies(_ writing: WritingState) {
        writeDelayedAck(to: &backlog)
        collectReplies(into: &backlog, writing)
    }

    /// Keeps the replies of this turn as the last ones. Promises that depend on a commit are dropped: they can't be kept any more.
    func keepLastReplies() {
        held = []
        if !hasLeft, application.prepareToWrite().awaitedTicket != nil { loop.turn.dropPromises() }
        writeDelayedAck(to: &backlog)
        writeReplies(to: &backlog)
    }

    package func release(upTo ticket: UInt64) {
        turn {
            while let first = held.first, first.ticket <= ticket {
                held.removeFirst()
                write(first.replies, of: first.bytes, to: &backlog)
            }
        }
    }

    /// Refuses the messages whose acknowledgement waits for the failed commit. A connection that waits for its `session` message is closed.
    package func commitFailed() {
        turn {
            guard case .open = state, !hasLeft else { return }
            guard let refused = application.commitFailed() else { return }
            for index in held.indices {
                let released = held[index].release(refusing: refused)
                write(released, of: held[index].bytes, to: &backlog)
            }
        }
    }

    /// What happens after a write: the end of a connection that has said everything, a soon look at one that waits.
    ///
    /// - Parameter waits: messages wait in the application
    private func settle(waits: Bool) {
        if case .closed = state, backlog.readableBytes == 0 { return finish() }
        if backlog.readableBytes > 0 || waits || !isWritable {
            connection.deadline = min(connection.deadline, loop.turn.now + .milliseconds(100))
        }
    }

    /// Bytes that the pipeline holds for the socket.
    func pendingBytes(_ context: ChannelHandlerContext) -> Int {
        if tls?.isClear == true { return 0 }
        return (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    private func report(_ context: ChannelHandlerContext) -> ConnectionReport {
        var memory = Ledger.Connection()
        memory.receiveBuffer = reader.partialHeaderBytes + (tls?.receivedBytes ?? 0)
        memory.assembler = reader.bufferedBytes
        memory.deflate = reader.deflateStateBytes + writer.deflateStateBytes
        memory.socketQueue = backlog.readableBytes + held.reduce(0) { $0 + $1.bytes.count } + pendingBytes(context)
        return ConnectionReport(memory: memory, roundTripNanoseconds: heartbeat.smoothedNanoseconds)
    }

    func slowConsumer() {
        application.fail(
            .slowConsumer, source: .client, close: .slowConsumer)
        if let closing = loop.turn.closing { begin(closing) }
    }
}

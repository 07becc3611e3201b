// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import GatewayTLS
import GatewayWebSocket
import NIOCore

/// Writes the replies to the input and the messages of the application, in as few writes as possible.
extension WebSocketHandler {
    package func flush() {
        guard let context else { return }
        var writing = WritingState()
        if case .open = state {
            writing = application.prepareToWrite()
            if let delay = writing.replyDelay, mayDelayReply(writing) { return delayReply(by: delay) }
        }
        loop.delayedAcks.remove(self)
        var hasWaiting = false
        repeat {
            if let closing = loop.effects.closing { begin(closing) }
            writePending(context, writing)
            hasWaiting = false
            // A closing connection is detached from its application.
            if case .open = state { hasWaiting = application.written(report(context)) }
            // The session may exceed its budget now; then the close frame is sent in the same flush.
        } while loop.effects.closing != nil
        if loop.output.storageCapacity > 4 * Application.writeSize { loop.output = ByteBuffer() }
        for error in loop.effects.incidents {
            loop.record(error, connection: connection.id, session: connection.sessionID)
            loop.audit(error, of: connection)
        }
        loop.effects.incidents.removeAll(keepingCapacity: true)
        finishFlush(hasWaiting: hasWaiting)
    }

    /// Delays the acknowledgement, to share a write with its response.
    private func delayReply(by delay: Instant.Duration) {
        guard let reply = loop.effects.replies.first else { return }
        for index in 0..<reply.count { delayedAck[index] = loop.effects.replyBytes[reply.start + index] }
        delayedAckCount = reply.count
        loop.effects.clearReplies()
        loop.delayedAcks.append(self, until: loop.effects.now + delay)
        finishFlush(hasWaiting: application.written(nil))
    }

    private func mayDelayReply(_ writing: WritingState) -> Bool {
        guard delayedAckIndex == nil, loop.effects.replies.count == 1, loop.effects.replies[0].count <= Self.maximumDelayedAck else {
            return false
        }
        return backlog.readableBytes == 0 && pendingPong == nil && writing.awaitedTicket == nil
    }

    /// Sends a delayed acknowledgement whose response didn't arrive in time.
    func flushDelayedAck() { handleInput {} }

    private func writePending(_ context: ChannelHandlerContext, _ writing: WritingState) {
        while canSend(context) {
            loop.output.clear()
            collect(into: &loop.output, writing)
            guard loop.output.readableBytes > 0 else { break }
            write(loop.output, context: context)
        }
        guard !isWritable else { return }
        bufferReplies(writing)
        if case .open = state, backlog.readableBytes > loop.settings.socketQueueBytes { failSlowConsumer() }
    }

    private func write(_ output: ByteBuffer, context: ChannelHandlerContext) {
        let count = UInt64(output.readableBytes)
        connection.bytesOut &+= count
        loop.metrics.bytesOut &+= count
        progress.addWritten(output.readableBytes)
        if let tls { tls.send(plaintext: output) } else { context.writeAndFlush(wrapOutboundOut(output), promise: nil) }
    }

    /// Whether the socket accepts further bytes: few enough are pending.
    var isWritable: Bool { tls?.canSendDirectly == true || context?.channel.isWritable ?? false }

    private func canSend(_ context: ChannelHandlerContext) -> Bool {
        tls?.canSendDirectly == true || context.channel.isActive && context.channel.isWritable
    }

    /// Collects the frames to write, the oldest first: the backlog, the newest pong, replies to the input, then messages of the
    /// application.
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
        let message = delayedAck.span.bytes.extracting(first: delayedAckCount)
        if application.isTapped { application.tapReply(message) }
        writer.write(.text, message, mayCompress: true, to: &output)
        delayedAckCount = 0
        connection.messagesOut &+= 1
        loop.metrics.countSent(.ack)
    }

    /// Writes the replies to the input to `output`, or to ``held`` if they wait for a commit.
    private func collectReplies(into output: inout ByteBuffer, _ writing: WritingState) {
        guard !loop.effects.replies.isEmpty else { return }
        if case .open = state, let ticket = writing.awaitedTicket {
            if held.last?.ticket != ticket { held.append(HeldReplies(ticket: ticket)) }
            // Replies keep their order, except while the store fails: then only the replies that depend on the commit wait.
            loop.effects.hold(in: &held[held.count - 1], awaitingCommitOnly: writing.isSessionMessageDurable && loop.effects.rejectsWork)
        }
        writeReplies(to: &output)
    }

    private func writeReplies(to output: inout ByteBuffer) {
        write(loop.effects.replies, of: loop.effects.replyBytes, to: &output)
        loop.effects.clearReplies()
    }

    private func write(_ replies: [Effects.Reply], of bytes: [UInt8], to output: inout ByteBuffer) {
        bytes.withRawSpan { bytes in
            for reply in replies {
                let message = bytes.extracting(reply.start..<reply.start + reply.count)
                if application.isTapped { application.tapReply(message) }
                writer.write(.text, message, mayCompress: reply.mayCompress, to: &output)
                loop.metrics.countSent(OutboundMessageType(of: message))
            }
        }
        connection.messagesOut &+= UInt64(replies.count)
    }

    /// Moves the replies to the input to the backlog, because the socket isn't writable.
    private func bufferReplies(_ writing: WritingState) {
        writeDelayedAck(to: &backlog)
        collectReplies(into: &backlog, writing)
    }

    /// Moves the last replies to the backlog before the close frame. Replies that depend on a commit are dropped: the connection closes
    /// without waiting for it.
    func bufferLastReplies() {
        held = []
        if !isDisconnected, application.prepareToWrite().awaitedTicket != nil { loop.effects.dropRepliesAwaitingCommit() }
        writeDelayedAck(to: &backlog)
        writeReplies(to: &backlog)
    }

    package func release(upTo ticket: UInt64) {
        handleInput {
            while let first = held.first, first.ticket <= ticket {
                held.removeFirst()
                write(first.replies, of: first.bytes, to: &backlog)
            }
        }
    }

    /// Rejects the messages whose acknowledgement waits for the failed commit. A connection whose `session` message waits for it is closed.
    package func commitFailed() {
        handleInput {
            guard case .open = state, !isDisconnected else { return }
            guard let rejected = application.commitFailed() else { return }
            for index in held.indices {
                let released = held[index].release(rejecting: rejected)
                write(released, of: held[index].bytes, to: &backlog)
            }
        }
    }

    /// Finishes a closed connection after its last write, and ticks a connection with pending bytes sooner.
    ///
    /// - Parameter hasWaiting: whether the application has messages to write
    private func finishFlush(hasWaiting: Bool) {
        if case .closed = state, backlog.readableBytes == 0 { return finish() }
        if backlog.readableBytes > 0 || hasWaiting || !isWritable {
            connection.deadline = min(connection.deadline, loop.effects.now + .milliseconds(100))
        }
    }

    /// The bytes that the pipeline buffers for the socket.
    func pendingBytes(_ context: ChannelHandlerContext) -> Int {
        if tls?.canSendDirectly == true { return 0 }
        return (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    private func report(_ context: ChannelHandlerContext) -> ConnectionReport {
        var memory = MemoryUsage.Connection()
        memory.receiveBuffer = reader.partialHeaderBytes + (tls?.receivedBytes ?? 0)
        memory.assembler = reader.bufferedBytes
        memory.deflate = reader.deflateStateBytes + writer.deflateStateBytes
        memory.socketQueue = backlog.readableBytes + held.reduce(0) { $0 + $1.bytes.count } + pendingBytes(context)
        return ConnectionReport(memory: memory, roundTripNanoseconds: heartbeat.smoothedNanoseconds)
    }

    func failSlowConsumer() {
        loop.metrics.slowConsumers &+= 1
        application.fail(
            .slowConsumer, source: .client, close: .slowConsumer)
        if let closing = loop.effects.closing { begin(closing) }
    }
}

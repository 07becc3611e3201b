import DequeModule
import GatewayCore
import NIOCore

/// The way out: what the turn and the application have gathered, in as few writes as possible.
extension WebSocketHandler {
    package func flush() {
        guard let context else { return }
        if case .open = state {
            application.prepare()
            if mayGather, let delay = application.replyDelay { return wait(delay) }
        }
        loop.gathering.remove(self)
        var isDone = false
        while !isDone {
            if let closing = loop.turn.closing { begin(closing) }
            pump(context)
            if !hasLeft { application.update(footprint(context), roundTrip: heartbeat.smoothedNanoseconds) }
            // Once the end has begun there is nothing more to decide.
            if case .open = state { application.written() }
            // The session may have found itself over its budget: that is told in this turn, too.
            isDone = loop.turn.closing == nil
        }
        if loop.output.storageCapacity > 4 * Self.writeSize { loop.output = ByteBuffer() }
        for error in loop.turn.incidents { loop.record(error, connection: connection.id, session: connection.sessionID) }
        loop.turn.incidents.removeAll(keepingCapacity: true)
        settle()
    }

    /// The answer to what is acknowledged now is on its way: both go in one write if it comes soon.
    private func wait(_ delay: Int64) {
        guard let reply = loop.turn.replies.first else { return }
        for index in 0..<reply.count { gathered[index] = loop.turn.replyBytes[reply.start + index] }
        gatheredCount = reply.count
        loop.turn.clearReplies()
        loop.gathering.append(self, until: loop.turn.now.advanced(byNanoseconds: delay))
        application.written()
        settle()
    }

    private var mayGather: Bool {
        guard gatheringIndex == nil, loop.turn.replies.count == 1, loop.turn.replies[0].count <= Self.gatheredBytes else { return false }
        return backlog.readableBytes == 0 && pendingPong == nil && application.awaited == nil
    }

    /// It hasn't come soon.
    func flushGathered() { turn {} }

    private func pump(_ context: ChannelHandlerContext) {
        while canSend(context) {
            loop.output.clear()
            collect(into: &loop.output)
            guard loop.output.readableBytes > 0 else { break }
            write(loop.output, context: context)
        }
        guard !isWritable else { return }
        gather()
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
    private func collect(into output: inout ByteBuffer) {
        if backlog.readableBytes > 0 {
            swap(&output, &backlog)
            backlog = ByteBuffer()
        }
        if let pong = pendingPong {
            pendingPong = nil
            if case .open = state { pong.withRawSpan { writer.writePong($0, to: &output) } }
        }
        writeGathered(to: &output)
        collectReplies(into: &output)
        if case .open = state { application.write(to: &output, writer: &writer) }
    }

    private func writeGathered(to output: inout ByteBuffer) {
        guard gatheredCount > 0 else { return }
        writer.write(.text, gathered.span.bytes.extracting(first: gatheredCount), mayCompress: true, to: &output)
        gatheredCount = 0
        connection.messagesOut &+= 1
        loop.counters.messagesOut &+= 1
    }

    /// The replies of the turn, or into ``held`` if they have to wait.
    private func collectReplies(into output: inout ByteBuffer) {
        guard !loop.turn.replies.isEmpty else { return }
        if case .open = state, let ticket = application.awaited {
            if held.last?.ticket != ticket { held.append(HeldReplies(ticket: ticket)) }
            // Replies keep their order, but while the store fails nobody has to wait for it who wasn't promised anything.
            loop.turn.hold(in: &held[held.count - 1], promisesOnly: application.isGreeted && loop.turn.refusesWork)
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
    func gather() {
        writeGathered(to: &backlog)
        collectReplies(into: &backlog)
    }

    /// The replies of this turn are the last ones. What isn't durable yet can't be promised any more, so that isn't said.
    func gatherLast() {
        held = []
        if !hasLeft {
            application.prepare()
            if application.awaited != nil { loop.turn.dropPromises() }
        }
        writeGathered(to: &backlog)
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
            guard application.isGreeted else {
                return application.fail(
                    .overloaded, source: .gateway, "the gateway can't keep sessions at the moment", close: .tryAgainLater)
            }
            let refused = application.refuseUnkept()
            for index in held.indices {
                let released = held[index].release(refusing: refused)
                write(released, of: held[index].bytes, to: &backlog)
            }
        }
    }

    /// What happens after a write: the end of a connection that has said everything, a soon look at one that waits.
    private func settle() {
        if case .closed = state, backlog.readableBytes == 0 { return finish() }
        if backlog.readableBytes > 0 || !hasLeft && application.hasWaiting || !isWritable {
            connection.deadline = min(connection.deadline, loop.turn.now.advanced(byNanoseconds: 100_000_000))
        }
    }

    /// Bytes that the pipeline holds for the socket.
    func pendingBytes(_ context: ChannelHandlerContext) -> Int {
        if tls?.isClear == true { return 0 }
        return (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    private func footprint(_ context: ChannelHandlerContext) -> Ledger.Connection {
        var footprint = Ledger.Connection()
        footprint.assembler = reader.bufferedBytes
        footprint.deflate = reader.deflateStateBytes + writer.deflateStateBytes
        footprint.socketQueue = backlog.readableBytes + held.reduce(0) { $0 + $1.bytes.count } + pendingBytes(context)
        return footprint
    }

    func slowConsumer() {
        application.fail(
            .slowConsumer, source: .client, "the client doesn't read what it is sent", close: .slowConsumer)
        if let closing = loop.turn.closing { begin(closing) }
    }
}

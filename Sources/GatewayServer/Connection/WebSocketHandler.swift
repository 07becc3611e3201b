import DequeModule
import GatewayCore
package import GatewayTLS
package import GatewayWebSocket
package import NIOCore

/// The upgraded connection: bytes to messages, messages to the application, answers to bytes.
///
/// All answers of one read leave in one write. Framing, control frames, heartbeat, the close handshake and slow readers are handled here;
/// what messages mean is the application's matter. Runs with or without TLS in front.
package final class WebSocketHandler<Application: WebSocketApplication>: ChannelInboundHandler, ConnectionSocket, PlaintextReceiver,
    DelayedAckSocket
{
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    enum State {
        case open
        /// Our close frame is out; the peer's is awaited until then.
        case closing(until: Instant)
        /// Nothing more is read: both sides have said their last, or the peer broke the rules. What waits is still sent until then.
        case closed(until: Instant)
    }

    /// Pongs of one read that are written at once; beyond, a flood gets only its newest ping answered.
    static var pongBytes: Int { 8 * 1024 }

    let loop: EventLoopState
    let connection: Connection
    let application: Application
    var reader: MessageReader
    var writer: MessageWriter
    var heartbeat: Heartbeat
    var state = State.open
    var context: ChannelHandlerContext?
    /// The short way to the socket; nil without TLS.
    package var tls: TLSHandler?
    /// Frames that aren't sequenced and couldn't be written yet.
    var backlog = ByteBuffer()
    /// Frames that wait for a commit, the oldest first.
    var held: Deque<HeldReplies> = []
    /// The newest ping that couldn't be answered yet (RFC 6455 §5.5.3 asks for no more).
    var pendingPong: [UInt8]?
    var progress = OutboundProgress()
    var announcedAge = false
    /// The position in ``DelayedAckQueue``.
    var delayedAckIndex: Int?
    /// The acknowledgement that waits for its response.
    var delayedAck = InlineArray<96, UInt8>(repeating: 0)
    var delayedAckCount = 0
    static var maximumDelayedAck: Int { 96 }
    /// The application was told of the end, or has gone to another connection: it isn't to be touched any more.
    var hasLeft = false

    package init(
        loop: EventLoopState, connection: Connection, application: Application, limits: WebSocketLimits,
        compression: CompressionAgreement?
    ) {
        self.loop = loop
        self.connection = connection
        self.application = application
        let agreed = compression.map { (agreement: $0, shared: loop.deflate) }
        reader = MessageReader(role: .server, limits: limits, compression: agreed)
        writer = MessageWriter(role: .server, compression: agreed)
        heartbeat = Heartbeat(now: loop.clock.now, policy: loop.settings.heartbeat)
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connection.socket = self
        connection.phase = .webSocket
        connection.isUpgraded = true
        connection.deadline = loop.clock.now
        turn { application.open() }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        leave()
        loop.delayedAcks.remove(self)
        connection.socket = nil
        tls = nil
        self.context = nil
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        receive(&buffer)
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { turn {} }
        context.fireChannelWritabilityChanged()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            connection.ended(code: 1006, reason: "the peer stopped sending")
            state = .closed(until: loop.clock.now)
            leave()
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        connection.ended(code: 1006, reason: "\(error)")
        state = .closed(until: loop.clock.now)
        leave()
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        connection.ended(code: 1006, reason: "the peer is gone")
        state = .closed(until: loop.clock.now)
        leave()
        context.fireChannelInactive()
    }

    /// Does `body` within the loop's turn and sends what came of it.
    func turn(_ body: () -> Void) {
        let begun = loop.beginTurn()
        body()
        if begun {
            flush()
            loop.endTurn()
        }
    }

    /// Takes over what was read. `buffer` is used in place.
    package func receive(_ buffer: inout ByteBuffer) {
        connection.bytesIn &+= UInt64(buffer.readableBytes)
        loop.counters.bytesIn &+= UInt64(buffer.readableBytes)
        guard case .closed = state else { return turn { read(&buffer) } }
    }

    private func read(_ buffer: inout ByteBuffer) {
        heartbeat.heard(now: loop.turn.now)
        do throws(WebSocketError) {
            while let event = try next(in: &buffer) {
                handle(event, in: buffer)
                if let closing = loop.turn.closing { begin(closing) }
            }
        } catch {
            fail(error)
        }
    }

    /// The next event. What would be refused whatever is in it isn't inflated.
    private func next(in buffer: inout ByteBuffer) throws(WebSocketError) -> WebSocketEvent? {
        guard reader.canSkip, case .open = state else { return try reader.next(in: &buffer) }
        let reading = application.reading
        reader.skipsCompressed = reading.skipsCompressed
        reader.skipsCompressedBinary = reading.skipsCompressedBinary
        let event = try reader.next(in: &buffer)
        let skipped = reader.takeSkipped()
        for _ in 0..<skipped.count where loop.turn.closing == nil { application.refuseSkipped(skipped.kind) }
        if let closing = loop.turn.closing { begin(closing) }
        return event
    }

    private func handle(_ event: WebSocketEvent, in buffer: borrowing ByteBuffer) {
        switch event {
        case .text(let payload): receive(.text, payload, in: buffer)
        case .binary(let payload): receive(.binary, payload, in: buffer)
        case .ping(let payload):
            guard case .open = state else { return }
            answerPing(payload, in: buffer, isAdmitted: application.admitsControlFrame(of: payload.count))
        case .pong(let payload):
            guard case .open = state, !isAwaited(payload, in: buffer) else { return }
            // It says nothing, and is counted for what it costs.
            _ = application.admitsControlFrame(of: payload.count)
        case .close(let code, _):
            answerClose(code)
        }
    }

    private func receive(_ kind: MessageKind, _ payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer) {
        guard case .open = state else { return }
        connection.messagesIn &+= 1
        loop.counters.messagesIn &+= 1
        let overhead = reader.overheadBytes
        reader.withPayload(of: payload, in: buffer) { application.receive(kind, $0, overhead: overhead) }
    }

    /// Whether a pong answers our last ping. That one is free: we asked for it.
    private func isAwaited(_ pong: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer) -> Bool {
        guard pong.count == 8 else { return false }
        let echoed = reader.withPayload(of: pong, in: buffer) { span in
            (0..<8).reduce(UInt64(0)) { $0 << 8 | UInt64(span.byte(at: $1)) }
        }
        return heartbeat.pong(payload: echoed, now: loop.turn.now)
    }

    /// Pings are answered one by one while the limits admit them and the socket takes the answers; of those that have to wait only the
    /// newest is kept.
    private func answerPing(_ payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer, isAdmitted: Bool) {
        let canAnswer = isAdmitted && isWritable && backlog.readableBytes < Self.pongBytes
        reader.withPayload(of: payload, in: buffer) { span in
            guard !canAnswer else { return writer.writePong(span, to: &backlog) }
            var newest: [UInt8] = []
            newest.append(bytesOf: span)
            pendingPong = newest
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
package import GatewayTLS
package import GatewayWebSocket
package import NIOCore

/// The handler of an upgraded connection: parses messages, passes them to the application, and writes its replies and messages.
///
/// All replies to one read are sent in one write. Framing, control frames, heartbeat, the close handshake and slow consumers are handled
/// here; the application handles only the content of messages. Works with or without TLS.
package final class WebSocketHandler<Application: WebSocketApplication>: ChannelInboundHandler, ConnectionSocket, PlaintextReceiver,
    DelayedAckSocket
{
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    enum State {
        case open
        /// The close frame was sent; the peer's is awaited until the deadline.
        case closing(until: Instant)
        /// Nothing more is read, after both close frames or a protocol violation of the peer. Pending bytes are sent until the deadline.
        case closed(until: Instant)
    }

    /// The limit on pongs in the backlog, in bytes; beyond, only the newest ping gets a pong.
    static var pongBytes: Int { 8 * 1024 }

    let loop: EventLoopState
    let connection: Connection
    let application: Application
    var reader: MessageReader
    var writer: MessageWriter
    var heartbeat: Heartbeat
    var state = State.open
    var context: ChannelHandlerContext?
    /// The TLS handler, for writing without passing the pipeline; nil without TLS.
    package var tls: TLSHandler?
    /// Unsequenced frames that couldn't be written yet.
    var backlog = ByteBuffer()
    /// The replies that wait for a commit, the oldest first.
    var held: Deque<HeldReplies> = []
    /// The payload of the newest ping without a pong. RFC 6455 §5.5.3 requires a pong only for the newest one.
    var pendingPong: [UInt8]?
    var progress = OutboundProgress()
    var hasAnnouncedAge = false
    /// The position in ``DelayedAckQueue``.
    var delayedAckIndex: Int?
    /// The acknowledgement that is delayed to share a write with its response.
    var delayedAck = InlineArray<96, UInt8>(repeating: 0)
    var delayedAckCount = 0
    static var maximumDelayedAck: Int { 96 }
    /// Whether the application was informed of the end or has moved to another connection: it must not be called any more.
    var isDisconnected = false

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
        handleInput { application.open() }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        disconnect()
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
        if context.channel.isWritable { handleInput {} }
        context.fireChannelWritabilityChanged()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            connection.ended(code: 1006, reason: "closed by the client without a close frame")
            state = .closed(until: loop.clock.now)
            disconnect()
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        connection.ended(code: 1006, reason: "\(error)")
        state = .closed(until: loop.clock.now)
        disconnect()
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        connection.ended(code: 1006, reason: "connection lost")
        state = .closed(until: loop.clock.now)
        disconnect()
        context.fireChannelInactive()
    }

    /// Handles an input by calling `body`, and sends the effects.
    func handleInput(_ body: () -> Void) {
        let begun = loop.beginInput()
        body()
        if begun {
            flush()
            loop.endInput()
        }
    }

    /// Parses inbound bytes in place.
    package func receive(_ buffer: inout ByteBuffer) {
        connection.bytesIn &+= UInt64(buffer.readableBytes)
        loop.metrics.bytesIn &+= UInt64(buffer.readableBytes)
        guard case .closed = state else { return handleInput { read(&buffer) } }
    }

    private func read(_ buffer: inout ByteBuffer) {
        heartbeat.receivedBytes(now: loop.effects.now)
        do throws(WebSocketError) {
            while let event = try next(in: &buffer) {
                handle(event, in: buffer)
                if let closing = loop.effects.closing { begin(closing) }
            }
        } catch {
            fail(error)
        }
    }

    /// Parses the next event. A message that would be rejected whatever its content isn't inflated.
    private func next(in buffer: inout ByteBuffer) throws(WebSocketError) -> WebSocketEvent? {
        guard reader.canSkip, case .open = state else { return try reader.next(in: &buffer) }
        let reading = application.reading
        reader.skipsCompressed = reading.skipsCompressed
        reader.skipsCompressedBinary = reading.skipsCompressedBinary
        let event = try reader.next(in: &buffer)
        let skipped = reader.takeSkipped()
        for _ in 0..<skipped.count where loop.effects.closing == nil { application.rejectSkipped(skipped.kind) }
        if let closing = loop.effects.closing { begin(closing) }
        return event
    }

    private func handle(_ event: WebSocketEvent, in buffer: borrowing ByteBuffer) {
        switch event {
        case .text(let payload): receive(.text, payload, in: buffer)
        case .binary(let payload): receive(.binary, payload, in: buffer)
        case .ping(let payload):
            guard case .open = state else { return }
            replyToPing(payload, in: buffer, isAdmitted: application.admitsControlFrame(of: payload.count))
        case .pong(let payload):
            guard case .open = state, !isExpectedPong(payload, in: buffer) else { return }
            // An unsolicited pong has no effect but counts against the limits.
            _ = application.admitsControlFrame(of: payload.count)
        case .close(let code, _):
            replyToClose(code)
        }
    }

    private func receive(_ kind: MessageKind, _ payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer) {
        guard case .open = state else { return }
        connection.messagesIn &+= 1
        loop.inputMessages &+= 1
        let overhead = reader.overheadBytes
        reader.withPayload(of: payload, in: buffer) { application.receive(kind, $0, overhead: overhead) }
    }

    /// Returns whether a pong matches the last ping. Such a pong doesn't count against the limits.
    private func isExpectedPong(_ pong: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer) -> Bool {
        guard pong.count == 8 else { return false }
        let echoed = reader.withPayload(of: pong, in: buffer) { span in
            (0..<8).reduce(UInt64(0)) { $0 << 8 | UInt64(span.byte(at: $1)) }
        }
        guard heartbeat.pong(payload: echoed, now: loop.effects.now) else { return false }
        if let sample = heartbeat.lastNanoseconds { loop.metrics.pingTime.record(sample) }
        return true
    }

    /// Writes a pong if the limits admit the ping and the socket accepts the pong. Otherwise only the newest ping is kept.
    private func replyToPing(_ payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer, isAdmitted: Bool) {
        let canReply = isAdmitted && isWritable && backlog.readableBytes < Self.pongBytes
        reader.withPayload(of: payload, in: buffer) { span in
            guard !canReply else { return writer.writePong(span, to: &backlog) }
            var newest: [UInt8] = []
            newest.append(bytesOf: span)
            pendingPong = newest
        }
    }
}

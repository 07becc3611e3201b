import GatewayCore
import GatewayTLS
import GatewayWebSocket
import NIOCore

/// The client's end of an upgraded connection: bytes to events, messages to bytes, pings to pongs, and the close handshake.
final class ClientSocketHandler: ChannelInboundHandler, UpgradedSocket {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// HTTP is still in the pipeline: nothing may be written.
        case waiting
        case open
        /// Our close frame is out.
        case closing
        /// The end was reported.
        case closed
    }

    /// For the gateway to close TCP, as RFC 6455 §7.1.1 wants it, before we do.
    private static let patience = TimeAmount.seconds(1)

    private let inbox: ClientInbox
    private let options: ClientWebSocketOptions
    private var reader: MessageReader
    private var writer: MessageWriter
    private let serializer = FrameSerializer(role: .client)
    private var state = State.waiting
    /// What came before ``begin()``: no more than one read of the socket.
    private var early = ByteBuffer()
    /// The payload of the newest ping that came while the socket wasn't writable.
    private var pendingPong: [UInt8]?
    private var context: ChannelHandlerContext?
    private var deadline: Scheduled<Void>?

    init(inbox: ClientInbox, options: ClientWebSocketOptions, compression: CompressionAgreement?, deflate: SharedDeflate) {
        self.inbox = inbox
        self.options = options
        let agreed = compression.map { (agreement: $0, shared: deflate) }
        reader = MessageReader(
            role: .client, limits: WebSocketLimits(maxMessageBytes: options.maxMessageBytes, maxFragments: 0), compression: agreed)
        writer = MessageWriter(role: .client, compression: agreed)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        self.context = nil
        end(.lost("the connection was closed"))
    }

    // MARK: Reading

    /// From here on the connection is a WebSocket.
    func begin() {
        guard let context, state == .waiting else { return }
        state = .open
        guard early.readableBytes > 0 else { return }
        read(early, context: context)
        early = ByteBuffer()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        switch state {
        case .waiting: early.writeBuffer(&buffer)
        case .open, .closing: read(buffer, context: context)
        case .closed: return
        }
    }

    private func read(_ buffer: ByteBuffer, context: ChannelHandlerContext) {
        var buffer = buffer
        var answers = ByteBuffer()
        var hasRoom = true
        do throws(WebSocketError) {
            while let event = try reader.next(in: &buffer) {
                hasRoom = take(event, in: buffer, answers: &answers) && hasRoom
            }
        } catch {
            if state == .open { writer.writeClose(error.closeCode, reason: error.reason, to: &answers) }
            var closing = ClientClosing.lost("the gateway broke the rules of WebSocket: \(error.reason)")
            closing.isProtocolFault = true
            end(closing)
        }
        if answers.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(answers), promise: nil) }
        if state == .closed {
            closeLater(Self.patience)
        } else if !hasRoom {
            setAutoRead(false)
        }
    }

    /// - Returns: whether there is room for more.
    private func take(_ event: WebSocketEvent, in buffer: borrowing ByteBuffer, answers: inout ByteBuffer) -> Bool {
        switch event {
        case .text(let payload):
            return inbox.put(.text(String(decoding: bytes(of: payload, in: buffer), as: UTF8.self)))
        case .binary(let payload):
            return inbox.put(.binary(bytes(of: payload, in: buffer)))
        case .pong(let payload):
            return inbox.put(.pong(bytes(of: payload, in: buffer)))
        case .ping(let payload):
            let payload = bytes(of: payload, in: buffer)
            answer(payload, answers: &answers)
            return options.reportsPings ? inbox.put(.ping(payload)) : true
        case .close(let code, let reason):
            if state == .open { writer.writeCloseReply(code, to: &answers) }
            let text = String(decoding: bytes(of: reason, in: buffer), as: UTF8.self)
            end(ClientClosing(code: code ?? ClientClosing.noCode, reason: text))
            return true
        }
    }

    /// Answers pings one by one while the socket is writable. While it isn't, only the newest ping is kept, as RFC 6455 §5.5.3 permits, so
    /// that a peer that doesn't read can't have pongs pile up here.
    private func answer(_ ping: [UInt8], answers: inout ByteBuffer) {
        guard options.answersPings, state == .open, let context else { return }
        if context.channel.isWritable {
            writer.writePong(ping.span.bytes, to: &answers)
        } else {
            pendingPong = ping
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, state == .open, let pong = pendingPong {
            pendingPong = nil
            var buffer = context.channel.allocator.buffer(capacity: 160)
            writer.writePong(pong.span.bytes, to: &buffer)
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        }
        context.fireChannelWritabilityChanged()
    }

    private func bytes(of payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer) -> [UInt8] {
        reader.withPayload(of: payload, in: buffer) { span in span.withUnsafeBytes { Array($0) } }
    }

    func setAutoRead(_ isOn: Bool) {
        // On a channel that is closing there is nothing to be set.
        try? context?.channel.syncOptions?.setOption(.autoRead, value: isOn)
    }

    // MARK: Writing

    func send(_ kind: MessageKind, _ message: [UInt8], compresses: Bool, promise: EventLoopPromise<Void>) {
        write(promise) { writer.write(kind, message.span.bytes, mayCompress: compresses, to: &$0) }
    }

    func ping(_ payload: [UInt8], promise: EventLoopPromise<Void>) {
        write(promise) { writer.writePing(payload.span.bytes, to: &$0) }
    }

    func sendRaw(_ bytes: [UInt8], promise: EventLoopPromise<Void>) {
        write(promise) { $0.writeBytes(bytes) }
    }

    private func write(_ promise: EventLoopPromise<Void>, _ body: (inout ByteBuffer) -> Void) {
        guard let context, state != .closed else { return promise.fail(ChannelError.ioOnClosedChannel) }
        var buffer = context.channel.allocator.buffer(capacity: 256)
        body(&buffer)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: promise)
    }

    // MARK: Ends

    /// Begins the close handshake; the second time, and after the gateway's close frame, nothing happens.
    func close(_ code: UInt16?, reason: String) {
        guard let context, state == .open else { return }
        state = .closing
        var buffer = context.channel.allocator.buffer(capacity: 128)
        serializer.writeClose(code, reason: Array(reason.utf8).span.bytes, to: &buffer)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        // Without reading on, the gateway's close frame would never come.
        setAutoRead(true)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(options.closeTimeout)) { [self] in
            end(.lost("the gateway didn't answer our close frame"))
            self.context?.close(promise: nil)
        }
    }

    /// Ends TCP without close frame and without TLS's close_notify, as a client does that loses its network.
    func abort() {
        guard let context else { return }
        end(.lost("aborted"))
        let tls = try? context.pipeline.syncOperations.context(handlerType: TLSHandler.self)
        (tls ?? context).close(promise: nil)
    }

    private func closeLater(_ delay: TimeAmount) {
        deadline?.cancel()
        deadline = context?.eventLoop.assumeIsolated().scheduleTask(in: delay) { [self] in self.context?.close(promise: nil) }
        setAutoRead(true)
    }

    private func end(_ closing: ClientClosing) {
        guard state != .closed else { return }
        state = .closed
        inbox.put(.closed(closing))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.lost(ClientFailure.text(error)))
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.lost("the gateway ended it without a close frame"))
        context.fireChannelInactive()
    }
}

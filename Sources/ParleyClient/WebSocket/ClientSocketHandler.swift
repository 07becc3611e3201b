// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import GatewayWebSocket
import NIOCore

/// The client side of an upgraded connection: parses frames into events, writes messages, sends pongs, and performs the close handshake.
final class ClientSocketHandler: ChannelInboundHandler, UpgradedSocket {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// HTTP handlers are still in the pipeline: nothing may be written.
        case waiting
        case open
        /// The client has sent its close frame.
        case closing
        /// ``ClientEvent/closed(_:)`` was reported.
        case closed
    }

    /// How long the client waits for the gateway to close TCP first, as RFC 6455 §7.1.1 recommends.
    private static let closeGracePeriod = TimeAmount.seconds(1)

    private let inbox: ClientInbox
    private let options: ClientWebSocketOptions
    private var reader: MessageReader
    private var writer: MessageWriter
    private let serializer = FrameSerializer(role: .client)
    private var state = State.waiting
    /// Bytes received before ``begin()``: at most one read of the socket.
    private var earlyBytes = ByteBuffer()
    /// The payload of the newest ping received while the channel wasn't writable.
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

    /// Starts WebSocket framing, once the HTTP handlers are removed.
    func begin() {
        guard let context, state == .waiting else { return }
        state = .open
        guard earlyBytes.readableBytes > 0 else { return }
        read(earlyBytes, context: context)
        earlyBytes = ByteBuffer()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        switch state {
        case .waiting: earlyBytes.writeBuffer(&buffer)
        case .open, .closing: read(buffer, context: context)
        case .closed: return
        }
    }

    private func read(_ buffer: ByteBuffer, context: ChannelHandlerContext) {
        var buffer = buffer
        var replies = ByteBuffer()
        var hasRoom = true
        do throws(WebSocketError) {
            while let event = try reader.next(in: &buffer) {
                hasRoom = handle(event, in: buffer, replies: &replies) && hasRoom
            }
        } catch {
            if state == .open { writer.writeClose(error.closeCode, reason: error.reason, to: &replies) }
            var closing = ClientClosing.lost("the gateway violated the WebSocket protocol: \(error.reason)")
            closing.isProtocolFault = true
            end(closing)
        }
        if replies.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(replies), promise: nil) }
        if state == .closed {
            closeLater(Self.closeGracePeriod)
        } else if !hasRoom {
            setAutoRead(false)
        }
    }

    /// Handles an event of the frame parser.
    ///
    /// - Returns: whether the inbox has room for more
    private func handle(_ event: WebSocketEvent, in buffer: borrowing ByteBuffer, replies: inout ByteBuffer) -> Bool {
        switch event {
        case .text(let payload):
            return inbox.enqueue(.text(String(decoding: bytes(of: payload, in: buffer), as: UTF8.self)))
        case .binary(let payload):
            return inbox.enqueue(.binary(bytes(of: payload, in: buffer)))
        case .pong(let payload):
            return inbox.enqueue(.pong(bytes(of: payload, in: buffer)))
        case .ping(let payload):
            let payload = bytes(of: payload, in: buffer)
            writePong(payload, to: &replies)
            return options.reportsPings ? inbox.enqueue(.ping(payload)) : true
        case .close(let code, let reason):
            if state == .open { writer.writeCloseReply(code, to: &replies) }
            let text = String(decoding: bytes(of: reason, in: buffer), as: UTF8.self)
            end(ClientClosing(code: code ?? ClientClosing.noCode, reason: text))
            return true
        }
    }

    /// Writes a pong while the channel is writable. Otherwise only the newest ping is kept, as RFC 6455 §5.5.3 permits, so that pongs for a peer
    /// that doesn't read can't accumulate.
    private func writePong(_ ping: [UInt8], to replies: inout ByteBuffer) {
        guard options.sendsPongs, state == .open, let context else { return }
        if context.channel.isWritable {
            writer.writePong(ping.span.bytes, to: &replies)
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
        // Setting the option fails only on a closing channel, where it has no effect.
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

    // MARK: Closing

    /// Starts the close handshake. Does nothing after the first call, or after the gateway's close frame.
    func close(_ code: UInt16?, reason: String) {
        guard let context, state == .open else { return }
        state = .closing
        var buffer = context.channel.allocator.buffer(capacity: 128)
        serializer.writeClose(code, reason: Array(reason.utf8).span.bytes, to: &buffer)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        // Reading must continue, or the gateway's close frame would never be received.
        setAutoRead(true)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(options.closeTimeout)) { [self] in
            end(.lost("the gateway didn't send a close frame in time"))
            self.context?.close(promise: nil)
        }
    }

    /// Closes TCP without a close frame and without a TLS close_notify, like a client that loses its network.
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
        inbox.enqueue(.closed(closing))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.lost(ConnectionErrorText.text(error)))
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.lost("the gateway closed the connection without a close frame"))
        context.fireChannelInactive()
    }
}

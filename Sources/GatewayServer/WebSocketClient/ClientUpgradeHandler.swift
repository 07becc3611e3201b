import GatewayTLS
import GatewayWebSocket
import NIOCore
import NIOHTTP1

/// Sends the request for a WebSocket and reads the answer: an upgrade, or a refusal.
///
/// Stands behind NIOHTTP1's response decoder until then. Bytes that came behind the answer reach the WebSocket.
final class ClientUpgradeHandler<Socket: UpgradedSocket>: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = HTTPClientRequestPart

    private enum State {
        case waiting
        case requested
        /// A good answer, but for the end that the decoder reports behind it.
        case accepted(ClientHandshake.Agreement)
        case refused(HTTPResponseHead, body: [UInt8])
        case finished
        case upgraded
    }

    /// What comes of the upgrade.
    struct Opened {
        var handler: Socket
        var agreement: ClientHandshake.Agreement
        var tls: TLSHandshakeCompleted?
    }

    private let handshake: ClientHandshake
    private let isSecure: Bool
    private let opened: EventLoopPromise<NIOLoopBound<Opened>>
    private let makeSocket: (CompressionAgreement?) -> Socket
    private let http: [any RemovableChannelHandler]
    private let deadline: NIODeadline
    private var timer: Scheduled<Void>?
    private var tls: TLSHandshakeCompleted?
    private var state = State.waiting

    /// - Parameter http: the handlers in front that leave with this one.
    init(
        _ handshake: ClientHandshake, isSecure: Bool, http: [any RemovableChannelHandler], deadline: NIODeadline,
        opened: EventLoopPromise<NIOLoopBound<Opened>>, makeSocket: @escaping (CompressionAgreement?) -> Socket
    ) {
        self.handshake = handshake
        self.isSecure = isSecure
        self.http = http
        self.deadline = deadline
        self.opened = opened
        self.makeSocket = makeSocket
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(deadline: deadline) { [opened] in
            opened.fail(ClientWebSocketError.timedOut)
            channel.close(promise: nil)
        }
        if !isSecure, context.channel.isActive { request(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        fail(.lost("the connection was closed"))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSHandshakeCompleted {
            tls = event
            request(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func request(_ context: ChannelHandlerContext) {
        guard case .waiting = state else { return }
        state = .requested
        context.write(wrapOutboundOut(.head(handshake.request)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .upgraded:
            // What was left over in the decoder, as bytes.
            context.fireChannelRead(data)
        case .waiting, .finished:
            return
        case .requested:
            guard case .head(let head) = unwrapInboundIn(data) else { return }
            if head.status == .switchingProtocols { accept(head, context: context) } else { state = .refused(head, body: []) }
        case .accepted(let agreement):
            if case .end = unwrapInboundIn(data) { upgrade(agreement, context: context) }
        case .refused(let head, var body):
            switch unwrapInboundIn(data) {
            case .head: return
            case .body(let part):
                body += part.readableBytesView.prefix(HTTPRefusal.maximumBodyBytes - body.count)
                state = .refused(head, body: body)
            case .end: refuse(context)
            }
        }
    }

    private func accept(_ head: HTTPResponseHead, context: ChannelHandlerContext) {
        do throws(ClientHandshakeFault) {
            state = .accepted(try handshake.agreement(head))
        } catch {
            fail(.handshake(error))
            context.close(promise: nil)
        }
    }

    /// Puts the WebSocket behind this handler, and takes HTTP out of the pipeline.
    private func upgrade(_ agreement: ClientHandshake.Agreement, context: ChannelHandlerContext) {
        state = .upgraded
        let socket = makeSocket(agreement.compression)
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(socket, position: .after(self))
        } catch {
            opened.fail(error)
            return context.close(promise: nil)
        }
        // As it goes, the decoder hands on what it has left over; until it's gone, it looks at all that is written.
        EventLoopFuture.andAllComplete(http.map { pipeline.removeHandler($0) }, on: context.eventLoop)
            .assumeIsolated().whenComplete { [self] _ in
                opened.succeed(NIOLoopBound(Opened(handler: socket, agreement: agreement, tls: tls), eventLoop: context.eventLoop))
                socket.begin()
                pipeline.removeHandler(self, promise: nil)
            }
    }

    private func refuse(_ context: ChannelHandlerContext) {
        if case .refused(let head, let body) = state { fail(.refused(HTTPRefusal(head, body: body))) }
        context.close(promise: nil)
    }

    /// The first reason counts.
    private func fail(_ error: ClientWebSocketError) {
        switch state {
        case .finished, .upgraded: return
        case .waiting, .requested, .accepted, .refused:
            state = .finished
            opened.fail(error)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .upgraded = state { return context.fireErrorCaught(error) }
        switch (error, state) {
        // A body that the end of the connection ends; whether it is whole doesn't matter.
        case (_, .refused): refuse(context)
        case (let error as TLSError, _): fail(.tls("\(error)"))
        case (is HTTPParserError, _): fail(.lost("the answer isn't HTTP"))
        default: fail(.lost(ClientFailure.text(error)))
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .refused = state { refuse(context) }
        fail(.lost("the gateway closed it"))
        context.fireChannelInactive()
    }
}

/// What stands in the pipeline once a connection is a WebSocket.
protocol UpgradedSocket: ChannelHandler, SendableMetatype {
    /// HTTP is out of the pipeline.
    func begin()
}

/// Replaces the request's bytes by others, for tests of what isn't HTTP.
final class RawRequestEncoder: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = ByteBuffer

    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // The decoder has seen the request go by, and takes the answer for one to it.
        switch unwrapOutboundIn(data) {
        case .head: context.write(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: promise)
        case .body, .end: promise?.succeed()
        }
    }
}

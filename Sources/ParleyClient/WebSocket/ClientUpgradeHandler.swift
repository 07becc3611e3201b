// SPDX-License-Identifier: Apache-2.0

package import GatewayTLS
package import GatewayWebSocket
package import NIOCore
package import NIOHTTP1

/// Sends the upgrade request and handles the response: an upgrade or a rejection.
///
/// Added after NIOHTTP1's response decoder, and removed with it after the upgrade. Bytes that follow the response are passed to the WebSocket.
package final class ClientUpgradeHandler<Socket: UpgradedSocket>: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPClientResponsePart
    package typealias InboundOut = ByteBuffer
    package typealias OutboundOut = HTTPClientRequestPart

    private enum State {
        case waiting
        case requested
        /// A valid 101 response was received; the decoder has yet to report its end.
        case accepted(ClientHandshake.Agreement)
        case rejected(HTTPResponseHead, body: [UInt8])
        case finished
        case upgraded
    }

    /// The result of a successful upgrade.
    package struct Opened {
        package var handler: Socket
        package var agreement: ClientHandshake.Agreement
        package var tls: TLSHandshakeCompleted?
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

    /// - Parameter http: the HTTP handlers that are removed together with this one
    package init(
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

    package func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(deadline: deadline) { [opened] in
            opened.fail(ClientWebSocketError.timedOut)
            channel.close(promise: nil)
        }
        if !isSecure, context.channel.isActive { request(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        fail(.lost("the connection was closed"))
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
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

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .upgraded:
            // The decoder forwards the bytes that follow the response.
            context.fireChannelRead(data)
        case .waiting, .finished:
            return
        case .requested:
            guard case .head(let head) = unwrapInboundIn(data) else { return }
            if head.status == .switchingProtocols { accept(head, context: context) } else { state = .rejected(head, body: []) }
        case .accepted(let agreement):
            if case .end = unwrapInboundIn(data) { upgrade(agreement, context: context) }
        case .rejected(let head, var body):
            switch unwrapInboundIn(data) {
            case .head: return
            case .body(let part):
                body += part.readableBytesView.prefix(UpgradeRejection.maximumBodyBytes - body.count)
                state = .rejected(head, body: body)
            case .end: reject(context)
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

    /// Adds the WebSocket handler after this one, and removes the HTTP handlers from the pipeline.
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
        // The decoder forwards its leftover bytes when it is removed. Until then it inspects every write, so the WebSocket must not write.
        EventLoopFuture.andAllComplete(http.map { pipeline.removeHandler($0) }, on: context.eventLoop)
            .assumeIsolated().whenComplete { [self] _ in
                opened.succeed(NIOLoopBound(Opened(handler: socket, agreement: agreement, tls: tls), eventLoop: context.eventLoop))
                socket.begin()
                pipeline.removeHandler(self, promise: nil)
            }
    }

    private func reject(_ context: ChannelHandlerContext) {
        if case .rejected(let head, let body) = state { fail(.rejected(UpgradeRejection(head, body: body))) }
        context.close(promise: nil)
    }

    /// Fails the upgrade; only the first error is reported.
    private func fail(_ error: ClientWebSocketError) {
        switch state {
        case .finished, .upgraded: return
        case .waiting, .requested, .accepted, .rejected:
            state = .finished
            opened.fail(error)
        }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .upgraded = state { return context.fireErrorCaught(error) }
        switch (error, state) {
        // The body may be delimited by the end of the connection; whether it is complete doesn't matter.
        case (_, .rejected): reject(context)
        case (let error as TLSError, _): fail(.tls("\(error)"))
        case (is HTTPParserError, _): fail(.lost("the response isn't HTTP"))
        default: fail(.lost(ConnectionErrorText.text(error)))
        }
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        if case .rejected = state { reject(context) }
        fail(.lost("the server closed the connection"))
        context.fireChannelInactive()
    }
}

/// The handler of a connection after the upgrade to a WebSocket.
package protocol UpgradedSocket: ChannelHandler, SendableMetatype {
    /// Called when the HTTP handlers are removed from the pipeline.
    func begin()
}

/// Sends raw bytes instead of the request, for tests of malformed HTTP.
final class RawRequestEncoder: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = ByteBuffer

    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // The response decoder has already recorded the request head, which it needs to parse the response.
        switch unwrapOutboundIn(data) {
        case .head: context.write(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: promise)
        case .body, .end: promise?.succeed()
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import GatewayTLS
import GatewayWebSocket
import Logging
package import NIOCore
package import NIOHTTP1

/// Handles the only HTTP request of a connection: upgrades the connection to a WebSocket, responds to a health check, or
/// rejects the request.
///
/// Follows NIOHTTP1's request decoder in the pipeline until the upgrade.
package final class UpgradeHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPServerRequestPart
    package typealias InboundOut = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    enum State {
        case waiting
        case receivedHead(HTTPRequestHead)
        /// The keys of the token are being fetched, the session to resume is being transferred from another event loop, or memory is being
        /// reclaimed for a new session.
        case resuming
        case upgraded
        /// A response other than 101 was sent; further bytes are ignored.
        case responded
    }

    let loop: EventLoopState
    let sessions: LocalSessionTable
    let connection: Connection
    private let parser: any RemovableChannelHandler
    let gate: HeadGateHandler
    private let tls: TLSHandler?
    var state = State.waiting

    package init(
        loop: EventLoopState, sessions: LocalSessionTable, connection: Connection, parser: any RemovableChannelHandler,
        gate: HeadGateHandler,
        tls: TLSHandler?
    ) {
        self.loop = loop
        self.sessions = sessions
        self.connection = connection
        self.parser = parser
        self.gate = gate
        self.tls = tls
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .upgraded, .responded, .resuming: return
        case .waiting:
            guard case .head(let head) = unwrapInboundIn(data) else { return }
            state = .receivedHead(head)
            // A body is never read, so the request is rejected without waiting for it.
            if Self.announcesBody(head) { respond(head, context: context) }
        case .receivedHead(let head):
            switch unwrapInboundIn(data) {
            case .head: return
            case .body: reject(context, UpgradePolicy.Rejection(UpgradeFailure.body), head: head)
            case .end: respond(head, context: context)
            }
        }
    }

    private static func announcesBody(_ head: HTTPRequestHead) -> Bool {
        !head.headers["Transfer-Encoding"].isEmpty || head.headers["Content-Length"].contains { $0 != "0" }
    }

    private func respond(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
        do throws(UpgradePolicy.Rejection) {
            try ForwardedFields.apply(head.headers, to: connection, loop: loop)
            if CrossOriginPolicy.isPreflight(head) { return finish(.noContent, head: head, context: context) }
            let target: RequestTarget
            do throws(UpgradeFailure) { target = try RequestTarget(head.uri) } catch { throw UpgradePolicy.Rejection(error) }
            if let health = health(target.path) {
                // Load balancers also use OPTIONS: it is the default method of HAProxy's `option httpchk`.
                guard [.GET, .HEAD, .OPTIONS].contains(head.method) else {
                    throw UpgradePolicy.Rejection(
                        .methodNotAllowed, .healthMethod, headers: ["Allow": "GET, HEAD, OPTIONS"])
                }
                return finish(ListenerResponse(health), head: head, context: context)
            }
            if let asset = loop.settings.assets[target.path] {
                guard [.GET, .HEAD].contains(head.method) else {
                    throw UpgradePolicy.Rejection(.methodNotAllowed, .assetMethod, headers: ["Allow": "GET, HEAD, OPTIONS"])
                }
                let response = ListenerResponse(asset, known: head.headers.first(name: "If-None-Match"))
                return finish(response, head: head, context: context)
            }
            let isEcho = target.path == UpgradePolicy.echoPath && loop.settings.offersEcho
            guard isEcho || UpgradePolicy.sessionPaths.contains(target.path) || loop.shared.upstream.paths.contains(target.path) else {
                throw UpgradePolicy.Rejection(.notFound, .unknownPath)
            }
            connection.path = target.path
            if let tracer = loop.shared.tracer {
                let fields = head.headers["traceparent"]
                connection.trace = tracer.beginConnection(parent: fields.count == 1 ? TraceContext(traceparent: fields[0].utf8) : nil)
            }
            let request: UpgradeRequest
            do throws(UpgradeFailure) { request = try UpgradeRequest(head) } catch { throw UpgradePolicy.Rejection(error) }
            upgrade(request, head: head, context: context)
        } catch {
            reject(context, error, head: head)
        }
    }

    private func health(_ path: String) -> HealthResponse? {
        switch path {
        case "/livez": .live()
        case "/readyz": .ready(loop.shared.health.report, details: false)
        case "/health": .health(loop.shared.health.report, details: nil)
        default: nil
        }
    }

    private func upgrade(_ request: UpgradeRequest, head: HTTPRequestHead, context: ChannelHandlerContext) {
        attempt(request, head: head, context: context) { () throws(UpgradePolicy.Rejection) in
            let purpose = try UpgradePolicy.purpose(of: request, settings: loop.settings)
            if connection.isUnencrypted, !loop.settings.isDevelopment { throw UpgradePolicy.unencrypted }
            try UpgradePolicy.checkAvailability(purpose, loop: loop)
            switch purpose {
            case .session(let resumeRequest): try authenticate(request, resuming: resumeRequest, head: head, context: context)
            case .echo:
                try UpgradePolicy.admit(connection.client, loop: loop)
                connection.countsAsWebSocket = true
                let echo = EchoApplication(loop: loop, connection: connection)
                open(echo, request: request, limits: GatewaySettings.echoLimits, context: context)
            }
        }
    }

    /// Performs `body`. If it throws, releases the WebSocket from the connection limits and rejects the request: in-band if requested and
    /// possible, otherwise by HTTP.
    func attempt(
        _ request: UpgradeRequest, head: HTTPRequestHead, context: ChannelHandlerContext, _ body: () throws(UpgradePolicy.Rejection) -> Void
    ) {
        do throws(UpgradePolicy.Rejection) {
            try body()
        } catch {
            if connection.countsAsWebSocket {
                connection.countsAsWebSocket = false
                loop.shared.connectionLimits.releaseWebSocket(of: connection.client)
            }
            guard request.target.errorsInBand, let close = error.close else { return reject(context, error, head: head) }
            let id = correlationID()
            audit(error, correlationID: id)
            let rejection = GatewayError(
                error.reason, source: error.status.code < 500 ? .client : .gateway, retryAfter: error.retryAfter.map { Int64($0) * 1000 },
                close: close, correlationID: id)
            count(error)
            open(RejectingApplication(loop: loop, error: rejection), request: request, limits: loop.settings.webSocket, context: context)
        }
    }

    /// Sends the 101 response and replaces this handler with the WebSocket.
    func open<Application: WebSocketApplication>(
        _ application: Application, request: UpgradeRequest, limits: WebSocketLimits, context: ChannelHandlerContext
    ) {
        let compression = request.compression(loop.settings.compression)
        var response = ListenerResponse.head(
            .switchingProtocols, request.responseHeaders(compression: compression), allocator: context.channel.allocator)
        response.writeString("\r\n")
        context.writeAndFlush(wrapOutboundOut(response), promise: nil)
        state = .upgraded
        loop.audit(.connect, of: connection, [.init("path", connection.path)])
        let webSocket = WebSocketHandler(
            loop: loop, connection: connection, application: application, limits: limits, compression: compression)
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(webSocket, position: .after(self))
        } catch {
            application.disconnected()
            return context.close(promise: nil)
        }
        // The WebSocket receives its bytes from TLS, or without TLS from the gate, bypassing the parser and this handler.
        pipeline.removeHandler(parser, promise: nil)
        pipeline.removeHandler(self, promise: nil)
        if let tls {
            tls.receiver = webSocket
            webSocket.tls = tls
        }
        gate.handOver(to: webSocket)
        if tls != nil { pipeline.removeHandler(gate, promise: nil) }
    }

    /// Records a rejection in the audit log.
    private func audit(_ rejection: UpgradePolicy.Rejection, correlationID: ULID) {
        loop.audit(
            .refuse, of: connection,
            [
                .init("status", rejection.status.code), .init("code", rejection.reason.code.rawValue),
                .init("reason", rejection.cause ?? rejection.reason.message), .init("correlation_id", .id(correlationID)),
            ])
    }

    private func reject(_ context: ChannelHandlerContext, _ rejection: UpgradePolicy.Rejection, head: HTTPRequestHead?) {
        let id = correlationID()
        count(rejection)
        loop.metrics.countError(rejection.reason.code, correlationID: id, wall: LoopClock.wallMilliseconds())
        audit(rejection, correlationID: id)
        if case .write(let suppressed) = loop.throttle.admit(.rejection, now: loop.clock.now) {
            var metadata: Logger.Metadata = [
                "code": "\(rejection.reason.code.rawValue)", "status": .stringConvertible(rejection.status.code),
                "connection_id": "\(connection.id)", "correlation_id": "\(id)",
            ]
            if let cause = rejection.cause { metadata["reason"] = "\(cause)" }
            metadata.merge(connection.addressMetadata) { $1 }
            if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
            loop.logger.info("request rejected", metadata: metadata)
        }
        let response = ListenerResponse(
            rejection.status, reason: rejection.reason, correlationID: id, headers: rejection.headers,
            retryAfter: rejection.retryAfter)
        finish(response, head: head, context: context)
    }

    private func count(_ rejection: UpgradePolicy.Rejection) {
        loop.metrics.rejections.add(ConnectionRejection(rejection.reason))
        let failure = rejection.fault.map { AuthFailure($0) } ?? AuthFailure(rejection.reason)
        if let failure { loop.metrics.authFailures.add(failure) }
    }

    private static let notHTTP = UpgradePolicy.Rejection(.badRequest, .notHTTP)

    private func correlationID() -> ULID { loop.effects.ids.ulid(at: LoopClock.wallMilliseconds()) }

    /// Sends the response and closes the sending side; the client gets a second to read the response.
    private func finish(_ response: ListenerResponse, head: HTTPRequestHead?, context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        state = .responded
        connection.ended(reason: "http \(response.status.code)")
        connection.linger(now: loop.clock.now)
        var response = response
        if let head { response.headers.add(contentsOf: CrossOriginPolicy.fields(for: head, allowing: loop.settings.allowedOrigins)) }
        let bytes = response.bytes(includingBody: head?.method != .HEAD, allocator: context.channel.allocator)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        context.close(mode: .output, promise: nil)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .upgraded = state { return context.fireErrorCaught(error) }
        if case .responded = state {
            // The parser failed first, and its rejection is being sent.
            if error is RequestHeadTooLarge { return }
            return context.close(promise: nil)
        }
        switch error {
        case is RequestHeadTooLarge, HTTPParserError.headerOverflow:
            reject(context, .init(.requestHeaderFieldsTooLarge, .headTooLarge), head: nil)
        case is HTTPParserError:
            reject(context, Self.notHTTP, head: nil)
        case let error as TLSError:
            fail(error, context: context)
        default:
            connection.ended(reason: "\(error)")
            context.close(promise: nil)
        }
    }

    /// Counts and logs a TLS failure. The TLS handler closes the channel.
    private func fail(_ error: TLSError, context: ChannelHandlerContext) {
        connection.ended(reason: "\(error)")
        if connection.timedOut == nil, let failure = HandshakeFailure(error) { loop.metrics.handshakeFailures.add(failure) }
        switch error {
        case .plainHTTP:
            loop.metrics.rejections.add(.plainHTTP)
            return connection.linger(now: loop.clock.now)
        case .handshakeFailed:
            loop.metrics.rejections.add(.tlsHandshake)
            loop.audit(
                .handshakeFailure, of: connection,
                [.init("reason", HandshakeFailure(error)?.label ?? "alert"), .init("error", "\(error)")])
            if case .write(let suppressed) = loop.throttle.admit(.handshake, now: loop.clock.now) {
                var metadata: Logger.Metadata = [
                    "error": "tls_handshake_failed", "reason": "\(error)", "connection_id": "\(connection.id)",
                ]
                metadata.merge(connection.addressMetadata) { $1 }
                if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
                loop.logger.info("tls handshake failed", metadata: metadata)
            }
        default: break
        }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let completed as TLSHandshakeCompleted:
            loop.metrics.handshakes.add(HandshakeKind(completed))
            loop.metrics.handshakeTime.record(loop.clock.now - connection.handshakeBeganAt)
            connection.certificateName = completed.peerName
            connection.phase = .head
            connection.deadline = connection.acceptedAt + loop.settings.headerTimeout
        case is RequestHeadEnded:
            // The parser waits for bytes after the head, as for an HTTP/2 preface (RFC 9113 §3.4), but receives only the head.
            if case .waiting = state { reject(context, Self.notHTTP, head: nil) }
            return
        case ChannelEvent.inputClosed:
            if case .upgraded = state { break }
            connection.ended(reason: "closed by the client before the upgrade")
            context.close(promise: nil)
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }
}

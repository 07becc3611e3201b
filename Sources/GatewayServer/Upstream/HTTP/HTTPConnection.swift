// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import NIOCore
import NIOHTTP1
import ParleyClient

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The receiver of the events of one request and its response.
protocol HTTPExchange: AnyObject {
    /// The request was written to an open connection.
    func sent()
    func head(_ head: HTTPResponseHead)
    func body(_ part: ByteBuffer)
    /// The response is complete. No event follows.
    func ended()
    /// The exchange has failed. No event follows.
    func failed(_ failure: CallFailure)
}

/// A connection to an HTTP upstream, on one event loop. Carries one request at a time, without pipelining.
final class HTTPConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    struct Request {
        var head: HTTPRequestHead
        var body: [UInt8] = []
    }

    private enum State {
        case connecting
        case idle
        /// The request is written; the response isn't complete.
        case busy
        case closed
    }

    let endpoint: Int
    let madeAt: Instant
    /// When the connection became idle.
    private(set) var idleSince: Instant
    private let isSecure: Bool
    private let now: () -> Instant
    private let deadline: NIODeadline
    /// Called when the connection becomes idle or closes.
    private let onChange: (HTTPConnection) -> Void
    private var state = State.connecting
    private var attempt: ConnectAttempt?
    private var context: ChannelHandlerContext?
    private var timer: Scheduled<Void>?
    /// The request to write once the connection is open.
    private var pendingRequest: Request?
    private var exchange: (any HTTPExchange)?
    /// Whether the upstream keeps the connection alive, according to the response head.
    private var isKeepAlive = false
    /// Whether the whole request was written to the socket.
    private var isWritten = false
    private var isRetired = false
    private var isPaused = false
    private var wantsRead = false
    /// Size of the rest of the body that was received after its last event, and the deadline for the end of the body.
    private var discardedBytes = 0
    private var discardDeadline: Instant?

    /// Limits of the rest of a body after its last event, in bytes and nanoseconds. Beyond them the connection is closed instead of reused.
    private static let maxDiscardedBytes = 65_536
    private static let discardTimeout: Int64 = 1_000_000_000

    init(endpoint: Int, connector: UpstreamConnector, now: @escaping () -> Instant, onChange: @escaping (HTTPConnection) -> Void) {
        self.endpoint = endpoint
        self.now = now
        self.onChange = onChange
        isSecure = connector.urls[endpoint].isSecure
        deadline = .now() + connector.timeout
        madeAt = now()
        idleSince = madeAt
    }

    func connect(_ connector: UpstreamConnector) {
        attempt = connector.connect(endpoint: endpoint) { [self] in
            [HTTPRequestEncoder(), ByteToMessageHandler(HTTPResponseDecoder()), NIOHTTPRequestHeadersValidator(), self]
        } failed: { [self] failure in
            end(failure)
        }
    }

    var isClosed: Bool { if case .closed = state { true } else { false } }

    /// Whether an idle connection can be reused: nothing has arrived since the last response, neither data nor the end of the stream.
    var isReusable: Bool {
        guard case .idle = state, let context, context.channel.isActive else { return false }
        // Includes data in the socket's receive buffer that the event loop hasn't read.
        let handle = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
        guard let handle else { return true }
        var byte: UInt8 = 0
        return recv(handle, &byte, 1, CInt(MSG_PEEK) | CInt(MSG_DONTWAIT)) < 0 && errno == EAGAIN
    }

    // MARK: From the exchange

    func begin(_ request: Request, for exchange: any HTTPExchange) {
        switch state {
        case .connecting:
            self.exchange = exchange
            pendingRequest = request
        case .idle:
            self.exchange = exchange
            write(request)
        case .busy, .closed: exchange.failed(.unreachable("the connection is in use or closed"))
        }
    }

    private func write(_ request: Request) {
        guard let context else { return end(.unreachable("the connection is closed")) }
        state = .busy
        (isKeepAlive, isWritten) = (false, false)
        (discardedBytes, discardDeadline) = (0, nil)
        context.write(wrapOutboundOut(.head(request.head)), promise: nil)
        if !request.body.isEmpty { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: request.body)))), promise: nil) }
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess { [weak self] in self?.isWritten = true }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
        exchange?.sent()
    }

    func setPaused(_ paused: Bool) {
        isPaused = paused
        readIfWanted()
    }

    /// Detaches the exchange after its last event and discards the rest of the response, so that the connection can be reused.
    func discardRemainder() {
        exchange = nil
        isPaused = false
        discardDeadline = now().advanced(byNanoseconds: Self.discardTimeout)
        readIfWanted()
    }

    /// Drains the connection: it closes now if it is idle, else after the current response.
    func retire() {
        isRetired = true
        if case .idle = state { close() }
    }

    /// Closes the connection without notifying the exchange.
    func close() {
        exchange = nil
        end(nil)
    }

    /// Closes the connection when a deadline has passed.
    ///
    /// - Parameters:
    ///   - idleClose: maximum idle time, in nanoseconds
    ///   - maxAge: maximum age of an idle connection, in nanoseconds
    func tick(now: Instant, idleClose: Int64, maxAge: Int64) {
        switch state {
        case .idle:
            if now.nanoseconds(since: idleSince) >= idleClose || now.nanoseconds(since: madeAt) >= maxAge { close() }
        case .busy: if let discardDeadline, now >= discardDeadline { close() }
        case .connecting, .closed: break
        }
    }

    // MARK: From the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            if case .connecting = self?.state { self?.end(.timeout(.connecting)) }
        }
        if !isSecure, context.channel.isActive { opened() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(.incompleteResponse("the connection was closed"))
        self.context = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is TLSHandshakeCompleted { opened() }
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    private func opened() {
        guard case .connecting = state else { return }
        timer?.cancel()
        timer = nil
        state = .idle
        if let request = pendingRequest {
            pendingRequest = nil
            write(request)
        } else {
            reportIdle()
        }
    }

    func read(context: ChannelHandlerContext) {
        wantsRead = true
        readIfWanted()
    }

    private func readIfWanted() {
        guard wantsRead, !isPaused else { return }
        wantsRead = false
        context?.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Unexpected in any other state, because the decoder rejects unsolicited data.
        guard case .busy = state else { return close() }
        switch unwrapInboundIn(data) {
        case .head(let head):
            isKeepAlive = head.isKeepAlive
            exchange?.head(head)
        case .body(let part):
            if let exchange { return exchange.body(part) }
            discardedBytes += part.readableBytes
            if discardedBytes > Self.maxDiscardedBytes { close() }
        case .end:
            let exchange = exchange
            self.exchange = nil
            isPaused = false
            // If the upstream responds before it has read the whole request, it could parse the remainder as another request.
            if isKeepAlive, isWritten, !isRetired { state = .idle } else { end(nil) }
            exchange?.ended()
            reportIdle()
        }
    }

    /// Reports the connection as idle unless it is already reused or closed.
    private func reportIdle() {
        guard case .idle = state else { return }
        idleSince = now()
        readIfWanted()
        onChange(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch (error, state) {
        case (_, .connecting): end(.unreachable(ConnectionErrorText.text(error)))
        case (HTTPParserError.invalidEOFState, _): end(.incompleteResponse("the connection closed during the response"))
        case (is HTTPParserError, _): end(.invalid("the response isn't HTTP"))
        default: end(.incompleteResponse(ConnectionErrorText.text(error)))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .connecting = state { end(.unreachable("the upstream closed the connection")) }
        end(.incompleteResponse("the connection closed before the response completed"))
        context.fireChannelInactive()
    }

    private func end(_ failure: CallFailure?) {
        guard !isClosed else { return }
        state = .closed
        timer?.cancel()
        attempt?.cancel()
        attempt = nil
        pendingRequest = nil
        context?.close(promise: nil)
        let exchange = exchange
        self.exchange = nil
        onChange(self)
        if let failure { exchange?.failed(failure) }
    }
}

import GatewayCore
import GatewayTLS
import NIOCore
import NIOHTTP1

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Who has asked something over a connection.
protocol HTTPExchange: AnyObject {
    /// The request is on its way.
    func sent()
    func head(_ head: HTTPResponseHead)
    func body(_ part: ByteBuffer)
    /// The answer is complete. Last.
    func ended()
    /// Last.
    func failed(_ failure: CallFailure)
}

/// A connection to an HTTP upstream, on one event loop: one request after the other, none before the answer to the one before is complete.
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
        case resting
        /// The request is written, the answer isn't complete.
        case busy
        case closed
    }

    let endpoint: Int
    let madeAt: Instant
    /// Since when it rests.
    private(set) var restsSince: Instant
    private let isSecure: Bool
    private let now: () -> Instant
    private let deadline: NIODeadline
    /// It rests, or is over.
    private let changed: (HTTPConnection) -> Void
    private var state = State.connecting
    private var attempt: ConnectAttempt?
    private var context: ChannelHandlerContext?
    private var timer: Scheduled<Void>?
    private var waiting: Request?
    private var exchange: (any HTTPExchange)?
    /// Whether the upstream keeps the connection, as the head of its answer says.
    private var isKept = false
    /// The whole request is with the system.
    private var isWritten = false
    private var isRetired = false
    private var isPaused = false
    private var wantsRead = false
    /// Bytes behind an answer that was complete before its body was, and until when they may come.
    private var rest = 0
    private var restUntil: Instant?

    /// What may come behind the end of an answer before its connection is given up, in bytes and in nanoseconds.
    private static let longestRest = 65_536
    private static let restTime: Int64 = 1_000_000_000

    init(endpoint: Int, connector: UpstreamConnector, now: @escaping () -> Instant, changed: @escaping (HTTPConnection) -> Void) {
        self.endpoint = endpoint
        self.now = now
        self.changed = changed
        isSecure = connector.urls[endpoint].isSecure
        deadline = .now() + connector.timeout
        madeAt = now()
        restsSince = madeAt
    }

    func connect(_ connector: UpstreamConnector) {
        attempt = connector.connect(endpoint: endpoint) { [self] in
            [HTTPRequestEncoder(), ByteToMessageHandler(HTTPResponseDecoder()), NIOHTTPRequestHeadersValidator(), self]
        } failed: { [self] failure in
            end(failure)
        }
    }

    var isClosed: Bool { if case .closed = state { true } else { false } }

    /// Whether a connection that rests can be used: nothing has come since the last answer, be it a second one or the end.
    var isClean: Bool {
        guard case .resting = state, let context, context.channel.isActive else { return false }
        // What the system has and the event loop hasn't read yet counts as well.
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
            waiting = request
        case .resting:
            self.exchange = exchange
            write(request)
        case .busy, .closed: exchange.failed(.unreachable("the connection is in use, or over"))
        }
    }

    private func write(_ request: Request) {
        guard let context else { return end(.unreachable("the connection is over")) }
        state = .busy
        (isKept, isWritten) = (false, false)
        (rest, restUntil) = (0, nil)
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

    /// The exchange has what it wants: the rest of the answer may pass, so that the connection can be used again.
    func letPass() {
        exchange = nil
        isPaused = false
        restUntil = now().advanced(byNanoseconds: Self.restTime)
        readIfWanted()
    }

    /// Takes no further request, and closes behind the one that it has.
    func retire() {
        isRetired = true
        if case .resting = state { close() }
    }

    /// Gives the connection up, and the exchange isn't told.
    func close() {
        exchange = nil
        end(nil)
    }

    /// Acts on what falls due.
    func tick(now: Instant, idleClose: Int64, maxAge: Int64) {
        switch state {
        case .resting:
            if now.nanoseconds(since: restsSince) >= idleClose || now.nanoseconds(since: madeAt) >= maxAge { close() }
        case .busy: if let restUntil, now >= restUntil { close() }
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
        end(.brokenOff("the connection is gone"))
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
        state = .resting
        if let request = waiting {
            waiting = nil
            write(request)
        } else {
            settle()
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
        // The decoder lets nothing through that wasn't asked for.
        guard case .busy = state else { return close() }
        switch unwrapInboundIn(data) {
        case .head(let head):
            isKept = head.isKeepAlive
            exchange?.head(head)
        case .body(let part):
            if let exchange { return exchange.body(part) }
            rest += part.readableBytes
            if rest > Self.longestRest { close() }
        case .end:
            let exchange = exchange
            self.exchange = nil
            isPaused = false
            // An upstream that answers before it has the whole request may take the rest for another one.
            if isKept, isWritten, !isRetired { state = .resting } else { end(nil) }
            exchange?.ended()
            settle()
        }
    }

    /// Rests, unless it was taken up again or has ended.
    private func settle() {
        guard case .resting = state else { return }
        restsSince = now()
        readIfWanted()
        changed(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch (error, state) {
        case (_, .connecting): end(.unreachable(ClientFailure.text(error)))
        case (HTTPParserError.invalidEOFState, _): end(.brokenOff("the connection ended in the answer"))
        case (is HTTPParserError, _): end(.invalid("the answer isn't HTTP"))
        default: end(.brokenOff(ClientFailure.text(error)))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .connecting = state { end(.unreachable("the upstream closed the connection")) }
        end(.brokenOff("the connection ended before the answer did"))
        context.fireChannelInactive()
    }

    private func end(_ failure: CallFailure?) {
        guard !isClosed else { return }
        state = .closed
        timer?.cancel()
        attempt?.cancel()
        attempt = nil
        waiting = nil
        context?.close(promise: nil)
        let exchange = exchange
        self.exchange = nil
        changed(self)
        if let failure { exchange?.failed(failure) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket
import NIOCore
import NIOHTTP1

/// Enforces the deadlines and size limits of one connection of the operations listener, after the HTTP codec.
///
/// The first request head arrives within `headTimeout`, a later one within `idleTimeout` of the last response; bytes of an incomplete head
/// extend neither. The last byte of a response is written within `requestTimeout` of the head of its request. Body bytes beyond `bodyBytes`
/// are discarded: the route has rejected the body by then.
///
/// A stream of events has no deadline as a whole: each of its writes completes within `requestTimeout`, and the connection closes when the
/// client closes its side.
///
/// The connection closes after a response with `Connection: close`, a rejection (400, 401, 403, 408, 413), and any response to HTTP/1.0.
/// The client has ``OperationsLimits/lingerTimeout`` to read the response: closing with unread bytes would reset the connection and lose
/// the response.
final class OperationsConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let limits: OperationsLimits
    private let setWaiting: (Bool) -> Void
    private var bodyBytes = 0
    private var pendingResponses = 0
    /// Whether the end of the last request hasn't arrived yet.
    private var isReceiving = false
    /// Whether the last request that this connection serves has arrived; earlier responses may still be pending.
    private var hasLastRequest = false
    private var isLastHTTP10 = false
    /// Whether the connection closes after the response that is being written.
    private var closesAfterResponse = false
    private var isLingering = false
    private var isInputClosed = false
    /// Whether the response that is being written is a stream of events, and the number of its writes that haven't completed.
    private var isStreaming = false
    private var pendingWrites = 0
    private let servesOneRequest: Bool
    private var deadline: Scheduled<Void>?

    /// - Parameters:
    ///   - servesOneRequest: whether the connection closes after its first response
    ///   - setWaiting: called when the gateway begins or stops waiting for the client
    init(limits: OperationsLimits, servesOneRequest: Bool, setWaiting: @escaping (Bool) -> Void) {
        self.limits = limits
        self.servesOneRequest = servesOneRequest
        self.setWaiting = setWaiting
    }

    func handlerAdded(context: ChannelHandlerContext) { schedule(limits.headTimeout, context) }

    func handlerRemoved(context: ChannelHandlerContext) { cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        cancel()
        context.fireChannelInactive()
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isLingering else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            // Requests after the last one are ignored.
            guard !hasLastRequest else { return }
            bodyBytes = 0
            pendingResponses += 1
            isReceiving = true
            if pendingResponses == 1 { schedule(limits.requestTimeout, context) }
            setWaiting(true)
            context.fireChannelRead(wrapInboundOut(.head(admit(head, context))))
        case .body(let bytes):
            guard isReceiving else { return }
            guard bodyBytes <= limits.bodyBytes else { return }
            bodyBytes += bytes.readableBytes
            // The part that exceeds the limit is forwarded, so that the route detects that its body is too long.
            context.fireChannelRead(data)
            guard bodyBytes > limits.bodyBytes else { return }
            hasLastRequest = true
            if pendingResponses == 0 { linger(context) }
        case .end:
            guard isReceiving else { return }
            isReceiving = false
            setWaiting(pendingResponses == 0)
            // A truncated body gets no end, so that no route accepts it as complete.
            if bodyBytes <= limits.bodyBytes { context.fireChannelRead(data) }
        }
    }

    private func admit(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) -> HTTPRequestHead {
        var head = head
        isLastHTTP10 = (head.version.major, head.version.minor) < (1, 1)
        hasLastRequest = servesOneRequest || isLastHTTP10 || Self.asksToClose(head.headers)
        // HTTP/1.0 requires no Host (RFC 9112 §3.3); the address that the client connected to is used instead. No browser uses HTTP/1.0, so
        // this doesn't enable DNS rebinding.
        if isLastHTTP10, head.headers["Host"].isEmpty, let address = context.channel.localAddress, let ip = address.ipAddress {
            head.headers.add(name: "Host", value: "\(SocketEndpoint(host: ip, port: address.port ?? 0))")
        }
        return head
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        // While bytes are discarded, no other handler reads.
        if isLingering { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            isInputClosed = true
            if isLingering || isStreaming { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard isLingering else { return context.fireErrorCaught(error) }
        // Discarded bytes don't have to be HTTP.
        if !(error is HTTPParserError) { context.close(promise: nil) }
    }

    // MARK: Responses

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            let isLast = hasLastRequest && pendingResponses <= 1
            if isLast || Self.isRejection(head.status) || Self.asksToClose(head.headers) {
                closesAfterResponse = true
                head.headers.replaceOrAdd(name: "Connection", value: "close")
            }
            // HTTP/1.0 has no chunked encoding (RFC 9112 §6.1): the end of the connection is the end of the body.
            if isLast, isLastHTTP10, head.headers["Content-Length"].isEmpty { head.version = .http1_0 }
            isStreaming = head.headers.first(name: "Content-Type") == EventStream.contentType
            if isStreaming {
                guard !isInputClosed else { return context.close(promise: promise) }
                cancel()
            }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body where isStreaming:
            writeEvent(context, data, promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            let promise = promise ?? context.eventLoop.makePromise(of: Void.self)
            let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
            promise.futureResult.whenComplete { _ in bound.value.handler.responseWritten(bound.value.context) }
            context.write(data, promise: promise)
        }
    }

    private func writeEvent(_ context: ChannelHandlerContext, _ data: NIOAny, _ promise: EventLoopPromise<Void>?) {
        let promise = promise ?? context.eventLoop.makePromise(of: Void.self)
        pendingWrites += 1
        if pendingWrites == 1 { schedule(limits.requestTimeout, context) }
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { _ in bound.value.handler.eventWritten(bound.value.context) }
        context.write(data, promise: promise)
    }

    private func eventWritten(_ context: ChannelHandlerContext) {
        pendingWrites -= 1
        guard isStreaming, context.channel.isActive else { return }
        if pendingWrites == 0 { cancel() } else { schedule(limits.requestTimeout, context) }
    }

    /// Handles the write of a response's last byte to the socket.
    private func responseWritten(_ context: ChannelHandlerContext) {
        pendingResponses = max(0, pendingResponses - 1)
        isStreaming = false
        cancel()
        guard context.channel.isActive, !isLingering else { return }
        setWaiting(pendingResponses == 0 || isReceiving)
        if closesAfterResponse || (hasLastRequest && pendingResponses == 0) {
            linger(context)
        } else {
            schedule(pendingResponses > 0 ? limits.requestTimeout : limits.idleTimeout, context)
        }
    }

    private func linger(_ context: ChannelHandlerContext) {
        guard !isInputClosed else { return context.close(promise: nil) }
        isLingering = true
        schedule(limits.lingerTimeout, context)
        context.close(mode: .output, promise: nil)
        context.read()
    }

    // MARK: Time

    private func schedule(_ time: TimeAmount, _ context: ChannelHandlerContext) {
        cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) { [self] in
            deadline = nil
            context.close(promise: nil)
        }
    }

    private func cancel() {
        deadline?.cancel()
        deadline = nil
    }

    /// Whether a status rejects a request that anyone can send, or leaves the rest of a request unread.
    private static func isRejection(_ status: HTTPResponseStatus) -> Bool { [400, 401, 403, 408, 413].contains(status.code) }

    private static func asksToClose(_ headers: HTTPHeaders) -> Bool { HeaderGrammar.list(headers["Connection"], contains: "close") }
}

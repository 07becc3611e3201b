import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Bounds one connection of the operations listener in time and bytes, behind the HTTP codec.
///
/// From the head of a request to the last byte of its answer at most `timeout`, and `longestBody` bytes of body; beyond either the connection
/// closes. An answer with `Connection: close`, and any answer to a request with it, ends the connection at once, since
/// Hummingbird would wait for the client to do so. Connections without a request end by Hummingbird's idle timeout, which trickled
/// header bytes don't extend.
final class RequestDeadlineHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let timeout: TimeAmount
    private let longestBody: Int
    private var bodyBytes = 0
    private var unanswered = 0
    /// The client asked to close behind its last request, whose answer may be behind others.
    private var closesBehindLast = false
    /// The answer being written says that it is the last.
    private var closesBehindThis = false
    private var deadline: Scheduled<Void>?

    init(timeout: TimeAmount, longestBody: Int) {
        self.timeout = timeout
        self.longestBody = longestBody
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            bodyBytes = 0
            unanswered += 1
            if Self.asksToClose(head.headerFields) { closesBehindLast = true }
            if unanswered == 1 { schedule(context) }
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            guard bodyBytes <= longestBody else {
                context.close(promise: nil)
                return
            }
        case .end: break
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            if Self.asksToClose(head.headerFields) { closesBehindThis = true }
            context.write(data, promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            let promise = promise ?? context.eventLoop.makePromise(of: Void.self)
            let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
            promise.futureResult.whenComplete { _ in bound.value.handler.answered(bound.value.context) }
            context.write(data, promise: promise)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = nil
        context.fireChannelInactive()
    }

    /// The last byte of an answer is with the socket.
    private func answered(_ context: ChannelHandlerContext) {
        unanswered = max(0, unanswered - 1)
        deadline?.cancel()
        deadline = nil
        if closesBehindThis || (closesBehindLast && unanswered == 0) {
            context.close(promise: nil)
        } else if unanswered > 0 {
            schedule(context)
        }
    }

    private func schedule(_ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { [self] in
            deadline = nil
            context.close(promise: nil)
        }
    }

    private static func asksToClose(_ fields: HTTPFields) -> Bool {
        guard let value = fields[.connection] else { return false }
        return value.split(separator: ",").contains { $0.trimming { $0 == " " || $0 == "\t" }.lowercased() == "close" }
    }
}

extension Substring {
    fileprivate func trimming(_ isSpace: (Character) -> Bool) -> Substring {
        var rest = drop(while: isSpace)
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return rest
    }
}

import GatewayCore
package import GatewayTLS
package import NIOCore

/// Parts the request head from what follows it, and holds it to its limits, before the HTTP parser sees a byte.
///
/// The parser gets the head and nothing else: where a request ends and a WebSocket begins isn't left to two parsers that might disagree.
package final class HeadGateHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    private var limits: RequestHeadLimits
    private var rest = ByteBuffer()
    private var isHolding = false
    /// What may come behind a head before it is answered. No client that keeps to RFC 6455 §4.1 sends anything.
    private static let mostHeld = 64 * 1024
    /// After the upgrade everything goes here. Let go of at the end: a weak reference would slow every other one to the same object.
    private var receiver: (any PlaintextReceiver)?

    package init(limits: RequestHeadLimits) { self.limits = limits }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if let receiver { return receiver.receive(&buffer) }
        if isHolding { return hold(&buffer, context: context) }
        // Behind the head of a request that was answered or refused, nothing counts.
        guard limits.verdict == .incomplete else { return }
        let count = limits.take(buffer.readableBytesSpan)
        guard let head = buffer.readSlice(length: count) else { return }
        if limits.verdict == .complete { rest = buffer }
        // Also of a head that is too large: where the parser finds an error before the limit, that is the verdict, whatever the pieces.
        context.fireChannelRead(wrapInboundOut(head))
        if limits.verdict == .complete, receiver == nil { context.fireUserInboundEventTriggered(RequestHeadEnded()) }
        if !isHolding { rest = ByteBuffer() }
        if limits.verdict == .tooLarge { context.fireErrorCaught(RequestHeadTooLarge()) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) { receiver = nil }

    /// The answer takes a moment: what comes in it is kept.
    package func hold() { isHolding = true }

    private func hold(_ buffer: inout ByteBuffer, context: ChannelHandlerContext) {
        guard rest.readableBytes + buffer.readableBytes <= Self.mostHeld else { return context.close(promise: nil) }
        rest.writeBuffer(&buffer)
    }

    /// Hands over to the WebSocket: first what came behind the head, then everything.
    package func handOver(to receiver: any PlaintextReceiver) {
        self.receiver = receiver
        isHolding = false
        var rest = rest
        self.rest = ByteBuffer()
        if rest.readableBytes > 0 { receiver.receive(&rest) }
    }
}

/// The inbound user event behind the last byte of a request head, which the parser has read by then.
package struct RequestHeadEnded: Sendable {}

/// The request head is over `http.max_header_bytes` or `http.max_headers`.
package struct RequestHeadTooLarge: Error {}

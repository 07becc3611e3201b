import GatewayCore
package import NIOCore

/// Holds a request to the limits of its head on its way to the HTTP parser.
package final class HeadGateHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    private var limits: RequestHeadLimits

    package init(limits: RequestHeadLimits) { self.limits = limits }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let before = limits.verdict
        let buffer = unwrapInboundIn(data)
        let verdict = limits.count(buffer.readableBytesSpan)
        guard verdict == .tooLarge else { return context.fireChannelRead(data) }
        // Told once; the rest of the head goes nowhere.
        if before != .tooLarge { context.fireErrorCaught(RequestHeadTooLarge()) }
    }
}

/// The request head is over `http.max_header_bytes` or `http.max_headers`.
package struct RequestHeadTooLarge: Error {}

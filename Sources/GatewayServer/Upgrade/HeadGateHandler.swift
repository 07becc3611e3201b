// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import GatewayTLS
package import NIOCore

/// Separates the request head from the bytes after it and enforces the head's limits, before the HTTP parser.
///
/// The HTTP parser receives only the head, so that two parsers can't disagree about where the request ends and the WebSocket begins.
package final class HeadGateHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    private var limits: RequestHeadLimits
    private var buffered = ByteBuffer()
    private var isBuffering = false
    /// The maximum number of bytes after the head that are buffered until the response is sent. A client that follows RFC 6455 §4.1 sends
    /// none.
    private static let maximumBufferedBytes = 64 * 1024
    /// The receiver of all bytes after the upgrade. Set to nil on removal instead of being weak: a weak reference would slow down all other
    /// references to the object.
    private var receiver: (any PlaintextReceiver)?

    package init(limits: RequestHeadLimits) { self.limits = limits }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if let receiver { return receiver.receive(&buffer) }
        if isBuffering { return append(&buffer, context: context) }
        // Bytes after the head of a completed or rejected request are ignored.
        guard limits.verdict == .incomplete else { return }
        let count = limits.consume(buffer.readableBytesSpan)
        guard let head = buffer.readSlice(length: count) else { return }
        if limits.verdict == .complete { buffered = buffer }
        // The parser also gets the part of an oversized head that is within the limit: a parse error in that part takes precedence, however
        // the bytes are split.
        context.fireChannelRead(wrapInboundOut(head))
        if limits.verdict == .complete, receiver == nil { context.fireUserInboundEventTriggered(RequestHeadEnded()) }
        if !isBuffering { buffered = ByteBuffer() }
        if limits.verdict == .tooLarge { context.fireErrorCaught(RequestHeadTooLarge()) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) { receiver = nil }

    /// Buffers inbound bytes until ``handOver(to:)``, because the response is delayed.
    package func beginBuffering() { isBuffering = true }

    private func append(_ buffer: inout ByteBuffer, context: ChannelHandlerContext) {
        guard buffered.readableBytes + buffer.readableBytes <= Self.maximumBufferedBytes else { return context.close(promise: nil) }
        buffered.writeBuffer(&buffer)
    }

    /// Forwards the bytes that followed the head, and then all further bytes, to the WebSocket.
    package func handOver(to receiver: any PlaintextReceiver) {
        self.receiver = receiver
        isBuffering = false
        var buffered = buffered
        self.buffered = ByteBuffer()
        if buffered.readableBytes > 0 { receiver.receive(&buffered) }
    }
}

/// The inbound user event after the last byte of a request head, which the parser has already parsed.
package struct RequestHeadEnded: Sendable {}

/// The request head exceeds `http.max_header_bytes` or `http.max_headers`.
package struct RequestHeadTooLarge: Error {}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
package import NIOCore

/// Reads the PROXY header of a trusted proxy (`listen.proxy_protocol`) before TLS, and passes all further bytes on unchanged.
///
/// The announced address becomes the connection's, if the limits of that address admit it; otherwise the connection closes. It also closes
/// without a header that is required, and with a malformed one. The header must arrive within the deadline of the TLS handshake.
package final class ProxyHeaderHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    private let loop: EventLoopState
    private let connection: Connection
    private let isRequired: Bool
    private let nextPhase: Connection.Phase
    private var parser = ProxyHeaderParser()

    /// - Parameters:
    ///   - isRequired: whether a connection without a header is closed
    ///   - nextPhase: the phase of the connection after the header
    package init(loop: EventLoopState, connection: Connection, isRequired: Bool, nextPhase: Connection.Phase) {
        self.loop = loop
        self.connection = connection
        self.isRequired = isRequired
        self.nextPhase = nextPhase
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // After the verdict the handler is removed, or the connection is closing.
        guard parser.verdict == .incomplete else { return }
        var buffer = unwrapInboundIn(data)
        let count = parser.consume(buffer.readableBytesSpan)
        switch parser.verdict {
        case .incomplete: return
        case .malformed(let fault): return reject(context, "malformed PROXY header", detail: fault.rawValue)
        case .absent:
            guard !isRequired else { return reject(context, "missing PROXY header") }
            var all = context.channel.allocator.buffer(capacity: parser.prefix.count + buffer.readableBytes)
            all.writeBytes(parser.prefix)
            buffer.moveReaderIndex(forwardBy: count)
            all.writeBuffer(&buffer)
            finish(context, rest: all)
        case .complete(let header):
            guard apply(header) else {
                return reject(context, "too many connections or too many new ones per second from the announced address")
            }
            buffer.moveReaderIndex(forwardBy: count)
            finish(context, rest: buffer)
        }
    }

    /// Returns whether the limits of the announced address admit the connection.
    private func apply(_ header: ProxyHeader) -> Bool {
        connection.announce(authority: header.authority, certificate: header.certificateName)
        switch header.source {
        // The connection stands for the proxy itself.
        case .proxy: return true
        case .unknown:
            connection.announceUnknownClient()
            return true
        case .client(let address, let port): return connection.announce(address, port: port, in: loop)
        }
    }

    private func finish(_ context: ChannelHandlerContext, rest: ByteBuffer) {
        connection.phase = nextPhase
        connection.handshakeBeganAt = loop.clock.now
        if nextPhase == .head { connection.deadline = connection.acceptedAt + loop.settings.headerTimeout }
        if rest.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(rest)) }
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    private func reject(_ context: ChannelHandlerContext, _ reason: String, detail: String? = nil) {
        connection.ended(reason: reason)
        loop.metrics.rejections.add(.proxyHeader)
        if case .write(let suppressed) = loop.throttle.admit(.proxy, now: loop.clock.now) {
            var metadata = connection.addressMetadata
            metadata["connection_id"] = "\(connection.id)"
            metadata["reason"] = "\(reason)"
            if let detail { metadata["error"] = "\(detail)" }
            if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
            loop.logger.warning("connection from a proxy rejected", metadata: metadata)
        }
        context.close(promise: nil)
    }
}

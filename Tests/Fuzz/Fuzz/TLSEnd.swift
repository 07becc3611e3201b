// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded

@testable import GatewayServer
@testable import GatewayTLS

/// One end of an in-memory TLS connection: the handler, and the plaintext and errors that it has delivered.
final class TLSEnd {
    let channel = EmbeddedChannel()
    private let recorder = Recorder()

    init(_ handler: TLSHandler) {
        must {
            try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
            try channel.pipeline.syncOperations.addHandlers([HalfCloseHandler(), handler, recorder])
            channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)
        }
    }

    deinit {
        if channel.isActive { channel.close(promise: nil) }
        channel.embeddedEventLoop.run()
    }

    var received: [UInt8] { recorder.received }
    var errors: [TLSError] { recorder.errors }
    var isEstablished: Bool { recorder.isEstablished }
    var echoes: Bool {
        get { recorder.echoes }
        set { recorder.echoes = newValue }
    }

    func feed(_ pieces: [[UInt8]]) {
        for piece in pieces where channel.isActive {
            _ = must { try channel.writeInbound(ByteBuffer(bytes: piece)) }
            channel.embeddedEventLoop.run()
        }
        require(errors.count <= 1, "at most one error is reported: \(errors)")
        require(errors.isEmpty || errors == [.plainHTTP] || !channel.isActive, "an error closes the connection")
    }

    func write(_ plaintext: [UInt8]) {
        guard channel.isActive else { return }
        channel.writeAndFlush(ByteBuffer(bytes: plaintext), promise: nil)
        channel.embeddedEventLoop.run()
    }

    func takeOutput() -> [UInt8] {
        var bytes: [UInt8] = []
        while let buffer = must({ try channel.readOutbound(as: ByteBuffer.self) }) { bytes += buffer.readableBytesView }
        return bytes
    }

    private final class Recorder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        var received: [UInt8] = []
        var errors: [TLSError] = []
        var isEstablished = false
        var echoes = false

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            require(buffer.readableBytes > 0, "a read isn't empty")
            received += buffer.readableBytesView
            if echoes { context.writeAndFlush(data, promise: nil) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is TLSHandshakeCompleted { isEstablished = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            guard let error = error as? TLSError else { return require(false, "errors are TLS errors: \(error)") }
            errors.append(error)
        }
    }
}

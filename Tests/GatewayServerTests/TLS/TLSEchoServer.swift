// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Synchronization

@testable import GatewayTLS

/// A TLS server on a real socket that echoes its input and closes after `bye`.
final class TLSEchoServer: Sendable {
    let port: Int
    private let group: MultiThreadedEventLoopGroup
    private let box: Box

    struct Record: Sendable {
        var completed: [TLSHandshakeCompleted] = []
        var errors: [TLSError] = []
    }

    init(_ store: TLSContextStore) throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let box = Box()
        let buffers = try group.any().submit { NIOLoopBound(TLSBuffers(), eventLoop: group.any()) }.wait()
        let channel = try ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        try TLSHandler(server: store.current, buffers: buffers.value, plainHTTPDetail: "none", correlationID: { "none" }),
                        Echo(box),
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
        self.group = group
        self.box = box
        self.port = channel.localAddress?.port ?? 0
    }

    var completed: [TLSHandshakeCompleted] { box.record.withLock { $0.completed } }
    var errors: [TLSError] { box.record.withLock { $0.errors } }

    func stop() {
        try? group.syncShutdownGracefully()
    }

    final class Box: Sendable {
        let record = Mutex(Record())
    }

    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let box: Box

        init(_ box: Box) { self.box = box }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            context.writeAndFlush(data, promise: nil)
            if String(buffer: buffer).contains("bye") { context.close(promise: nil) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            switch event {
            case let event as TLSHandshakeCompleted: box.record.withLock { $0.completed.append(event) }
            case ChannelEvent.inputClosed as ChannelEvent: context.close(promise: nil)
            default: break
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            guard let error = error as? TLSError else { return }
            box.record.withLock { $0.errors.append(error) }
        }
    }
}

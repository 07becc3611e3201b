// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer
import GatewayTLS
import NIOCore
import NIOPosix
import ParleyClient
import Synchronization

/// A server that responds to the upgrade request with bytes chosen by the test, and records the bytes that it receives afterwards.
final class CannedServer: Sendable {
    let url: WebSocketURL
    private let group: MultiThreadedEventLoopGroup
    private let received: AsyncStream<[UInt8]>
    private let accepted: Accepted

    /// - Parameter response: returns the response to a request; `accept` is the correct value of Sec-WebSocket-Accept
    init(_ response: @escaping @Sendable (_ request: String, _ accept: String) -> [UInt8]) throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        received = stream
        let accepted = Accepted()
        let channel = try ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                accepted.channel.withLock { $0 = channel }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(response: response, continuation: continuation))
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
        self.accepted = accepted
        url = try WebSocketURL("ws://127.0.0.1:\(channel.localAddress?.port ?? 0)/v1/ws")
    }

    /// Creates a server that accepts the upgrade and sends `frames` in the same write.
    convenience init(upgrading frames: [UInt8] = [], headers: String = "") throws {
        try self.init { _, accept in
            let head = [
                "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: \(accept)",
            ]
            return Array((head.joined(separator: "\r\n") + "\r\n\(headers)\r\n").utf8) + frames
        }
    }

    func send(_ bytes: [UInt8]) {
        accepted.channel.withLock { $0?.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
    }

    func close() {
        accepted.channel.withLock { $0?.close(promise: nil) }
    }

    /// Returns the bytes received after the request, at least `count` unless the connection closes.
    func receive(_ count: Int) async -> [UInt8] {
        var bytes: [UInt8] = []
        for await part in received {
            bytes += part
            if bytes.count >= count { break }
        }
        return bytes
    }

    func stop() async throws {
        try await group.shutdownGracefully()
    }

    private final class Accepted: Sendable {
        let channel: Mutex<(any Channel)?> = .init(nil)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let response: @Sendable (String, String) -> [UInt8]
        private let continuation: AsyncStream<[UInt8]>.Continuation
        private var request: [UInt8]? = []

        init(response: @escaping @Sendable (String, String) -> [UInt8], continuation: AsyncStream<[UInt8]>.Continuation) {
            self.response = response
            self.continuation = continuation
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            guard let partial = request else {
                continuation.yield(bytes)
                return
            }
            let text = String(decoding: partial + bytes, as: UTF8.self)
            guard text.hasSuffix("\r\n\r\n") else {
                request = partial + bytes
                return
            }
            request = nil
            let key = text.split(separator: "\r\n").first { $0.lowercased().hasPrefix("sec-websocket-key:") }
            let accept = AcceptKey.accept(for: (key?.split(separator: ": ").last).map(String.init) ?? "")
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: response(text, accept))), promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            continuation.finish()
        }
    }
}

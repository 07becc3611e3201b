// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import NIOCore
import NIOPosix
import Support

@testable import GatewayTLS

/// A TLS server on a real socket that follows a script of the test after each request head.
final class ScriptedTLSServer: Sendable {
    enum Step: Sendable {
        case send(String)
        /// Sends a text again and again, after each pause.
        case trickle(String, every: TimeAmount)
        /// Sends a text without end, as fast as the client reads.
        case flood(String)
        /// Closes with close_notify.
        case close
        /// Closes TCP without close_notify.
        case abort
    }

    let port: Int
    /// The heads of the requests.
    let requests = AwaitableValue<[String]>([])
    /// The number of connections that have closed.
    let closed = AwaitableValue(0)
    private let group: MultiThreadedEventLoopGroup

    /// - Parameter script: returns the steps after the head of a request; none for a server that is silent
    init(_ certificate: TLSSettings.Certificate, script: @escaping @Sendable (_ request: String) -> [Step]) throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let tls = try TLSContext(TLSSettings(certificates: [certificate]), ticketKeys: TLSTicketKeys(rotation: .hours(1)), now: 0)
        let (requests, closed) = (requests, closed)
        let channel = try ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.closeFuture.whenComplete { _ in closed.change { $0 += 1 } }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        try TLSHandler(server: tls, buffers: TLSBuffers(), plainHTTPDetail: "none", correlationID: { "none" }),
                        Handler(script: script, requests: requests),
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
        port = channel.localAddress?.port ?? 0
    }

    /// Creates a server that answers every request with a text and closes.
    convenience init(_ certificate: TLSSettings.Certificate, answering text: String) throws {
        try self.init(certificate) { _ in [.send(text), .close] }
    }

    deinit { group.shutdownGracefully { _ in } }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let script: @Sendable (String) -> [Step]
        private let requests: AwaitableValue<[String]>
        private var request = ""
        private var flood: ByteBuffer?
        private var isClosed = false

        init(script: @escaping @Sendable (String) -> [Step], requests: AwaitableValue<[String]>) {
            self.script = script
            self.requests = requests
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            request += String(buffer: unwrapInboundIn(data))
            guard request.hasSuffix("\r\n\r\n") else { return }
            let text = request
            request = ""
            requests.change { $0.append(text) }
            for step in script(text) { perform(step, context) }
        }

        private func perform(_ step: Step, _ context: ChannelHandlerContext) {
            switch step {
            case .send(let text): send(text, context)
            case .trickle(let text, let pause):
                send(text, context)
                let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
                context.eventLoop.scheduleTask(in: pause) {
                    let (handler, context) = bound.value
                    if !handler.isClosed { handler.perform(step, context) }
                }
            case .flood(let text):
                flood = ByteBuffer(string: String(repeating: text, count: max(1, 4096 / text.utf8.count)))
                continueFlood(context)
            case .close: context.close(promise: nil)
            case .abort: try? context.pipeline.syncOperations.context(handlerType: TLSHandler.self).close(promise: nil)
            }
        }

        private func send(_ text: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }

        private func continueFlood(_ context: ChannelHandlerContext) {
            guard let flood, !isClosed else { return }
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.writeAndFlush(wrapOutboundOut(flood)).whenSuccess {
                let (handler, context) = bound.value
                context.eventLoop.assumeIsolated().execute { handler.continueFlood(context) }
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            isClosed = true
            flood = nil
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }
}

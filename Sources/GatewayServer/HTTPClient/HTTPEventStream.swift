// SPDX-License-Identifier: Apache-2.0

package import GatewayTLS
import NIOCore
package import NIOHTTP1
import NIOPosix
import ParleyClient

/// A request whose response is a stream of events, on a dedicated connection.
package struct HTTPEventStream: Sendable {
    /// A response whose status isn't 200.
    package struct Rejection: Error {
        package var status: UInt
        /// The first bytes of the body.
        package var body: [UInt8]
    }

    package var host: String
    package var port: Int
    /// The TLS settings; nil for plain HTTP.
    package var tls: TLSClientContext?

    private static let connectTimeout = TimeAmount.seconds(10)
    /// The longest time without a byte. The server sends at least a comment every 15 seconds.
    private static let idleTimeout = Duration.seconds(40)
    private static let maximumEventBytes = 16 << 20
    private static let maximumBodyBytes = 64 << 10

    package init(host: String, port: Int, tls: TLSClientContext? = nil) {
        self.host = host
        self.port = port
        self.tls = tls
    }

    /// Sends the request and receives events until the server ends the stream, or `receive` returns false.
    ///
    /// - Parameter receive: called with each event
    /// - Throws: an ``HTTPFetchError``, a ``Rejection``, and the errors of `receive`
    package func perform(_ request: HTTPRequestHead, _ receive: (EventStreamParser.Event) async throws -> Bool) async throws {
        let channel: NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>
        do { channel = try await connect() } catch { throw HTTPFetchError.cannotConnect(ConnectionErrorText.text(error)) }
        do {
            try await channel.executeThenClose { inbound, outbound in
                try await outbound.write(.head(request))
                try await outbound.write(.end(nil))
                try await Self.receive(inbound, receive)
            }
        } catch let error as TLSError {
            throw HTTPFetchError.tls("\(error)")
        } catch is EventStreamParser.TooLong {
            throw HTTPFetchError.bodyTooLong(Self.maximumEventBytes)
        } catch HTTPParserError.invalidEOFState {
            throw HTTPFetchError.closed
        } catch is HTTPParserError {
            throw HTTPFetchError.notHTTP
        } catch is IdleTimeout {
            throw HTTPFetchError.timedOut(Self.idleTimeout)
        } catch let error as IOError {
            throw HTTPFetchError.lost(ConnectionErrorText.text(error))
        } catch let error as ChannelError {
            throw HTTPFetchError.lost(ConnectionErrorText.text(error))
        }
    }

    private static func receive(
        _ parts: NIOAsyncChannelInboundStream<HTTPClientResponsePart>, _ receive: (EventStreamParser.Event) async throws -> Bool
    ) async throws {
        var parser = EventStreamParser(limit: maximumEventBytes)
        var rejection: Rejection?
        for try await part in parts {
            switch part {
            case .head(let head) where head.status != .ok: rejection = Rejection(status: head.status.code, body: [])
            case .head: break
            case .body(let bytes):
                if let body = rejection?.body {
                    rejection?.body += bytes.readableBytesView.prefix(maximumBodyBytes - body.count)
                    continue
                }
                for event in try parser.receive(bytes.readableBytesView) {
                    guard try await receive(event) else { return }
                }
            case .end:
                if let rejection { throw rejection }
                return
            }
        }
        throw rejection ?? HTTPFetchError.closed as any Error
    }

    private func connect() async throws -> NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart> {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connectTimeout(Self.connectTimeout)
        let tls = tls
        let initializer: @Sendable (any Channel) -> EventLoopFuture<NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>> = {
            channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                if let tls { try pipeline.addHandler(TLSHandler(client: tls, buffers: TLSBuffers())) }
                try pipeline.addHTTPClientHandlers()
                try pipeline.addHandlers([IdleStateHandler(readTimeout: TimeAmount(Self.idleTimeout)), IdleHandler()])
                return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
            }
        }
        if let address = try? SocketAddress(ipAddress: host, port: port) {
            return try await bootstrap.connect(to: address, channelInitializer: initializer)
        }
        return try await bootstrap.connect(host: host, port: port, channelInitializer: initializer)
    }

    private struct IdleTimeout: Error {}

    /// Fails the stream when the server has sent nothing for too long.
    private final class IdleHandler: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard event is IdleStateHandler.IdleStateEvent else { return context.fireUserInboundEventTriggered(event) }
            context.fireErrorCaught(IdleTimeout())
            context.close(promise: nil)
        }
    }
}

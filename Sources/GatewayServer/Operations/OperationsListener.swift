// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Synchronization

/// The server of the operations listener: accepts connections on a bound or inherited socket and serves them until graceful shutdown.
///
/// Hummingbird's server can't use a socket that is open already; its router and its handling of a connection are used.
struct OperationsListener {
    let address: SocketEndpoint
    /// The listening socket of the service manager; nil to bind ``address``.
    let inherited: InheritedSockets.Socket?
    let connections: OperationsConnections
    let logger: Logger

    /// Maximum number of connections that wait to be accepted.
    private static let backlog: CInt = 256

    /// Serves until graceful shutdown: then closes the listener and idle connections, and completes the requests in progress.
    ///
    /// - Parameters:
    ///   - setup: creates the pipeline of a connection
    ///   - onRunning: called once with the channel of the listener
    func run(
        on group: any EventLoopGroup, channel setup: OperationsChannel, onRunning: @Sendable (any Channel) async -> Void
    ) async throws {
        let server = try await listen(on: group, setup)
        if let local = server.channel.localAddress {
            logger.info("Server started and listening on \(SocketEndpoint(host: local.ipAddress ?? "?", port: local.port ?? 0))")
        }
        await withGracefulShutdownHandler {
            await onRunning(server.channel)
            await withDiscardingTaskGroup { [logger] tasks in
                do {
                    try await server.executeThenClose { accepted in
                        for try await connection in accepted {
                            tasks.addTask { await setup.handle(value: connection, logger: logger) }
                        }
                    }
                } catch {
                    logger.error("the listener failed", error: error)
                }
            }
        } onGracefulShutdown: {
            server.channel.close(promise: nil)
            connections.quiesce()
        }
    }

    private func listen(
        on group: any EventLoopGroup, _ setup: OperationsChannel
    ) async throws -> NIOAsyncChannel<OperationsChannel.Value, Never> {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { [logger] channel in
                channel.eventLoop.makeCompletedFuture { try Self.pauseWithoutDescriptors(channel, logger: logger) }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
        let initializer: @Sendable (any Channel) -> EventLoopFuture<OperationsChannel.Value> = { [logger] channel in
            setup.setup(channel: channel, logger: logger)
        }
        guard let inherited else {
            return try await bootstrap.bind(host: address.host, port: address.port, childChannelInitializer: initializer)
        }
        let server = try await bootstrap.bind(inherited.descriptor, childChannelInitializer: initializer)
        inherited.restoreBacklog()
        return server
    }

    /// Pauses accepting while the process has no free descriptors: a failed accept would otherwise be the end of the listener.
    private static func pauseWithoutDescriptors(_ listener: any Channel, logger: Logger) throws {
        let unlimited = ConnectionLimits(policy: .init(sockets: 0, webSockets: 0, webSocketsPerAddress: 0, handshakesPerSecond: 0))
        let gate = AcceptGate(
            connectionLimits: unlimited, rejected: { _, _ in },
            failed: { logger.warning("accept failed", metadata: ["listener": "operations", "error": "\($0)"]) })
        try listener.pipeline.syncOperations.addHandler(gate)
    }

    /// Returns the function that responds to requests through a router.
    static func responder(
        _ router: Router<OperationsRequestContext>, logger: Logger
    ) -> HTTPChannelHandler.Responder {
        let responder = router.buildResponder()
        return { request, writer, channel in
            let context = OperationsRequestContext(source: ApplicationRequestContextSource(channel: channel, logger: logger))
            var response: Response
            do {
                response = try await responder.respond(to: request, context: context)
            } catch {
                // The outermost middleware converts every error.
                response = Response(status: .internalServerError)
            }
            response.headers[.date] = HTTPDate.now()
            do {
                try await writer.write(response: response.head, body: response.body)
            } catch is HTTPParserError {
                // A parser error would cause a second response.
                throw ConnectionFailed()
            }
        }
    }

    /// The connection sent something that isn't HTTP while a response was written.
    private struct ConnectionFailed: Error {}
}

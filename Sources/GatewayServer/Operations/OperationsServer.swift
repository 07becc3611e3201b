// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Hummingbird
import HummingbirdCore
package import Logging
package import NIOCore
import ServiceLifecycle

/// The second listener: health, counters and reload, on plain HTTP at `operations.address`.
///
/// The server runs until its `ServiceGroup` shuts down gracefully or its task is cancelled, and throws if it can't bind the address.
/// ``OperationsGate`` has the access rules.
package struct OperationsServer: Service, CustomStringConvertible {
    private let address: SocketEndpoint
    private let limits: OperationsLimits
    private let gate: OperationsGate
    private let token: @Sendable () -> String?
    private let routes: OperationsRoutes
    private let eventLoopGroup: any EventLoopGroup
    private let logger: Logger
    private let onRunning: @Sendable (SocketAddress) async -> Void

    /// Maximum number of connections that wait to be accepted.
    private static let backlog = 256

    /// - Parameters:
    ///   - address: `operations.address`; port 0: the system chooses a free port.
    ///   - requiresToken: whether a token is required on loopback, too, as in production. Any other address always requires one.
    ///   - token: returns the current `operations.token`; called for every request, since a reload can change it.
    ///   - snapshot: returns the current counters.
    ///   - sessions: the operations on sessions.
    ///   - reload: reloads the configuration; may be called by several requests at once.
    ///   - resetUpstream: closes the breakers of an upstream, by name; returns nil if there is no such upstream.
    ///   - logger: the logger of the listener and of Hummingbird.
    ///   - onRunning: called once with the bound address.
    package init(
        address: SocketEndpoint, requiresToken: Bool, limits: OperationsLimits = OperationsLimits(),
        token: @escaping @Sendable () -> String?,
        health: HealthRegistry, snapshot: @escaping @Sendable () async -> GatewaySnapshot,
        sessions: SessionOperations,
        reload: @escaping @Sendable () async -> ReloadReport,
        resetUpstream: @escaping @Sendable (String) -> UpstreamStatistics? = { _ in nil }, eventLoopGroup: any EventLoopGroup,
        logger: Logger = Logger(label: "parley.operations"),
        onRunning: @escaping @Sendable (SocketAddress) async -> Void = { _ in }
    ) {
        self.address = address
        self.limits = limits
        self.gate = OperationsGate(listeningOn: address, requiresToken: requiresToken)
        self.token = token
        self.routes = OperationsRoutes(
            health: health, snapshot: snapshot, reload: reload, resetUpstream: resetUpstream,
            sessions: SessionRoutes(sessions: sessions))
        self.eventLoopGroup = eventLoopGroup
        self.logger = logger
        self.onRunning = onRunning
    }

    /// The service's name in log lines of the service lifecycle.
    package var description: String { "operations" }

    package func run() async throws {
        let connections = OperationsConnections(limits)
        let application = Application(
            router: routes.router(gate: gate, token: token, limits: limits, connections: connections),
            server: HTTPServerBuilder { [limits] responder in
                OperationsChannel(responder: responder, limits: limits, connections: connections)
            },
            configuration: ApplicationConfiguration(address: .hostname(address.host, port: address.port), backlog: Self.backlog),
            onServerRunning: { [onRunning, logger] channel in
                try? await Self.pauseWithoutDescriptors(channel, logger: logger).get()
                if let address = channel.localAddress { await onRunning(address) }
            },
            eventLoopGroupProvider: .shared(eventLoopGroup),
            logger: logger)
        try await ListenerFailure.convertingErrors("operations.address", address) { try await application.run() }
    }

    /// Pauses accepting while the process has no free descriptors: the library would otherwise treat a failed accept as the end of the
    /// listener.
    private static func pauseWithoutDescriptors(_ listener: any Channel, logger: Logger) -> EventLoopFuture<Void> {
        listener.eventLoop.submit {
            let unlimited = ConnectionLimits(policy: .init(sockets: 0, webSockets: 0, webSocketsPerAddress: 0, handshakesPerSecond: 0))
            let gate = AcceptGate(
                connectionLimits: unlimited, rejected: { _ in },
                failed: { logger.warning("accept failed", metadata: ["listener": "operations", "error": "\($0)"]) })
            try listener.pipeline.syncOperations.addHandler(gate, position: .first)
        }
    }
}

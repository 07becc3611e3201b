import GatewayCore
import Hummingbird
import HummingbirdCore
package import Logging
package import NIOCore
import ServiceLifecycle

/// The second listener: health, counters and reload, on plain HTTP at `operations.address`.
///
/// It runs until its `ServiceGroup` shuts down gracefully or its task is cancelled, and throws when the address can't be bound.
/// ``OperationsGate`` says who may use it.
package struct OperationsServer: Service, CustomStringConvertible {
    private let address: SocketEndpoint
    private let limits: OperationsLimits
    private let gate: OperationsGate
    private let token: @Sendable () -> String?
    private let routes: OperationsRoutes
    private let eventLoopGroup: any EventLoopGroup
    private let logger: Logger
    private let onRunning: @Sendable (SocketAddress) async -> Void

    /// Connections that wait to be accepted.
    private static let backlog = 256

    /// - Parameters:
    ///   - address: `operations.address`; port 0 lets the system choose.
    ///   - demandsToken: production. An address beyond loopback demands a token in any environment.
    ///   - token: `operations.token` at this moment; asked on every request, so that a reload can change it.
    ///   - snapshot: the counters at this moment.
    ///   - sessions: who knows the sessions.
    ///   - reload: reads the configuration anew; may be called by several requests at once.
    ///   - resetUpstream: closes the breakers of the upstream of a name; nil when there is none.
    ///   - logger: lines of the listener itself and, through it, of Hummingbird.
    ///   - onRunning: called once with the address that is bound.
    package init(
        address: SocketEndpoint, demandsToken: Bool, limits: OperationsLimits = OperationsLimits(),
        token: @escaping @Sendable () -> String?,
        health: HealthRegistry, snapshot: @escaping @Sendable () async -> GatewaySnapshot,
        sessions: SessionDesk,
        reload: @escaping @Sendable () async -> ReloadReport,
        resetUpstream: @escaping @Sendable (String) -> UpstreamStatistics? = { _ in nil }, eventLoopGroup: any EventLoopGroup,
        logger: Logger = Logger(label: "parley.operations"),
        onRunning: @escaping @Sendable (SocketAddress) async -> Void = { _ in }
    ) {
        self.address = address
        self.limits = limits
        self.gate = OperationsGate(host: address.host, demandsToken: demandsToken || !Self.isLoopback(address.host))
        self.token = token
        self.routes = OperationsRoutes(
            health: health, snapshot: snapshot, reload: reload, resetUpstream: resetUpstream,
            sessions: SessionRoutes(desk: sessions))
        self.eventLoopGroup = eventLoopGroup
        self.logger = logger
        self.onRunning = onRunning
    }

    /// How the lines of the service lifecycle name it.
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
                try? await Self.restWithoutDescriptors(channel, logger: logger).get()
                if let address = channel.localAddress { await onRunning(address) }
            },
            eventLoopGroupProvider: .shared(eventLoopGroup),
            logger: logger)
        try await ListenerFailure.naming("operations.address", address) { try await application.run() }
    }

    /// Keeps the listener alive when the process is out of descriptors: the library takes a failed accept for the end of the listener.
    private static func restWithoutDescriptors(_ listener: any Channel, logger: Logger) -> EventLoopFuture<Void> {
        listener.eventLoop.submit {
            let unlimited = Occupancy(limits: .init(sockets: 0, webSockets: 0, webSocketsPerAddress: 0, handshakesPerSecond: 0))
            let gate = AcceptGate(
                occupancy: unlimited, refused: { _ in },
                failed: { logger.warning("accepting failed; resting", metadata: ["listener": "operations", "error": "\($0)"]) })
            try listener.pipeline.syncOperations.addHandler(gate, position: .first)
        }
    }

    private static func isLoopback(_ host: String) -> Bool {
        if host.lowercased() == "localhost" || host == "::1" { return true }
        guard let address = try? SocketAddress(ipAddress: host, port: 0), case .v4 = address else { return false }
        return host.hasPrefix("127.")
    }
}

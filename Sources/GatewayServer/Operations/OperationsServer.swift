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
    /// Bounds of the listener. None has a key: it serves operators, not clients.
    package struct Limits: Sendable {
        /// Beyond it accepting pauses.
        package var connections = 64
        /// Connections without a request, and request heads that come in drop by drop.
        package var idleTimeout = TimeAmount.seconds(30)
        /// From a request's head to the last byte of its answer.
        package var requestTimeout = TimeAmount.seconds(10)
        /// One header field, the request target too.
        package var headerFieldBytes = 8 << 10
        /// All header fields of a request.
        package var headerBytes = 16 << 10
        package var headerFields = 64
        /// A body of more bytes ends the connection; more than ``OperationsRoutes/longestBody`` is already refused where one is read.
        package var bodyBytes = 64 << 10

        package init() {}
    }

    private let address: SocketEndpoint
    private let limits: Limits
    private let gate: OperationsGate
    private let token: @Sendable () -> String?
    private let routes: OperationsRoutes
    private let eventLoopGroup: any EventLoopGroup
    private let logger: Logger
    private let onRunning: @Sendable (SocketAddress) async -> Void

    /// - Parameters:
    ///   - address: `operations.address`; port 0 lets the system choose.
    ///   - demandsToken: production. An address beyond loopback demands a token in any environment.
    ///   - token: `operations.token` at this moment; asked on every request, so that a reload can change it.
    ///   - snapshot: the counters at this moment.
    ///   - sessions: who knows the sessions.
    ///   - reload: reads the configuration anew; may be called by several requests at once.
    ///   - logger: lines of the listener itself and, through it, of Hummingbird.
    ///   - onRunning: called once with the address that is bound.
    package init(
        address: SocketEndpoint, demandsToken: Bool, limits: Limits = Limits(), token: @escaping @Sendable () -> String?,
        health: HealthRegistry, snapshot: @escaping @Sendable () async -> GatewaySnapshot,
        sessions: SessionDesk,
        reload: @escaping @Sendable () async -> ReloadReport, eventLoopGroup: any EventLoopGroup,
        logger: Logger = Logger(label: "parley.operations"),
        onRunning: @escaping @Sendable (SocketAddress) async -> Void = { _ in }
    ) {
        self.address = address
        self.limits = limits
        self.gate = OperationsGate(host: address.host, demandsToken: demandsToken || !Self.isLoopback(address.host))
        self.token = token
        self.routes = OperationsRoutes(
            health: health, snapshot: snapshot, reload: reload,
            sessions: SessionRoutes(desk: sessions))
        self.eventLoopGroup = eventLoopGroup
        self.logger = logger
        self.onRunning = onRunning
    }

    /// How the lines of the service lifecycle name it.
    package var description: String { "operations" }

    package func run() async throws {
        let limits = limits
        var channel = HTTP1Channel.Configuration(
            additionalChannelHandlers: [RequestDeadlineHandler(timeout: limits.requestTimeout, longestBody: limits.bodyBytes)],
            idleTimeout: limits.idleTimeout)
        channel.httpDecoder = .init(
            maxHeaderFieldSize: limits.headerFieldBytes, maxHeaderListSize: limits.headerBytes, maxHeaderFieldCount: limits.headerFields)
        let application = Application(
            router: routes.router(gate: gate, token: token),
            server: .http1(configuration: channel),
            configuration: ApplicationConfiguration(
                address: .hostname(address.host, port: address.port),
                backlog: limits.connections,
                availableConnectionsDelegate: MaximumAvailableConnections(limits.connections, logger: logger)),
            onServerRunning: { [onRunning] channel in
                if let address = channel.localAddress { await onRunning(address) }
            },
            eventLoopGroupProvider: .shared(eventLoopGroup),
            logger: logger)
        try await application.run()
    }

    private static func isLoopback(_ host: String) -> Bool {
        if host.lowercased() == "localhost" || host == "::1" { return true }
        guard let address = try? SocketAddress(ipAddress: host, port: 0), case .v4 = address else { return false }
        return host.hasPrefix("127.")
    }
}

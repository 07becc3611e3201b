// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import GatewayTLS
import Hummingbird
import HummingbirdCore
package import Logging
package import NIOCore
import ServiceLifecycle

/// The second listener: health, counters and reload, at `operations.address`.
///
/// The server runs until its `ServiceGroup` shuts down gracefully or its task is cancelled, and throws if it can't bind the address.
/// ``OperationsGate`` has the access rules.
package struct OperationsServer: Service, CustomStringConvertible {
    private let address: SocketEndpoint
    private let inherited: InheritedSockets.Socket?
    private let limits: OperationsLimits
    private let gate: OperationsGate
    private let tokens: @Sendable () -> [OperationsToken]
    private let routes: OperationsRoutes
    private let tls: @Sendable () -> TLSContext?
    private let eventLoopGroup: any EventLoopGroup
    private let logger: Logger
    private let requests: OperatorRequests?
    private let onRunning: @Sendable (SocketAddress) async -> Void

    /// - Parameters:
    ///   - address: `operations.address`; port 0: the system chooses a free port.
    ///   - inherited: the listening socket of the service manager; nil to bind the address.
    ///   - requiresToken: whether a token is required on loopback, too, as in production. Any other address always requires one.
    ///   - tls: returns the TLS context of a new connection; nil for plain HTTP.
    ///   - tokens: returns the current `operations.token` and `operations.tokens`; called for every request, since a reload can change
    ///     them.
    ///   - snapshot: returns the current counters.
    ///   - sessions: the operations on sessions.
    ///   - usage: the usage of users; nil for none.
    ///   - reload: reloads the configuration; may be called by several requests at once.
    ///   - drain: begins to drain.
    ///   - configuration: returns the configuration in effect, as JSON.
    ///   - resetUpstream: closes the breakers of an upstream, by name; returns nil if there is no such upstream.
    ///   - access: mints and revokes tokens; nil: the routes of tokens don't exist.
    ///   - features: further features with routes
    ///   - requests: the requests to other nodes; nil outside of a cluster
    ///   - audit: the log of what operators do; nil when it is off
    ///   - logger: the logger of the listener and of Hummingbird.
    ///   - onRunning: called once with the bound address.
    package init(
        address: SocketEndpoint, inherited: InheritedSockets.Socket? = nil, requiresToken: Bool,
        limits: OperationsLimits = OperationsLimits(), tls: @escaping @Sendable () -> TLSContext? = { nil },
        tokens: @escaping @Sendable () -> [OperationsToken],
        health: HealthRegistry, snapshot: @escaping @Sendable () async -> GatewaySnapshot,
        sessions: SessionOperations, usage: (any UsageArchive)? = nil,
        reload: @escaping @Sendable () async -> ReloadReport,
        drain: (@Sendable () async -> DrainReport)? = nil, configuration: (@Sendable () throws -> [UInt8])? = nil,
        resetUpstream: @escaping @Sendable (String) -> UpstreamStatistics? = { _ in nil }, access: AccessOperations? = nil,
        features: [OperationsFeature] = [], requests: OperatorRequests? = nil, audit: AuditLog? = nil, eventLoopGroup: any EventLoopGroup,
        logger: Logger = Logger(label: "parley.operations"),
        onRunning: @escaping @Sendable (SocketAddress) async -> Void = { _ in }
    ) {
        let address = inherited?.address ?? address
        self.address = address
        self.inherited = inherited
        self.limits = limits
        self.gate = OperationsGate(listeningOn: address, requiresToken: requiresToken)
        self.tokens = tokens
        self.tls = tls
        let groups: [any OperationsRouteGroup] =
            [
                SessionRoutes(sessions: sessions), LifecycleRoutes(drain: drain, configuration: configuration),
                UsageRoutes(archive: usage ?? UsageLedger()),
            ] + [access.map { AccessRoutes(access: $0) } as (any OperationsRouteGroup)?].compactMap(\.self) + features.map(\.group)
        self.routes = OperationsRoutes(
            health: health, snapshot: snapshot, reload: reload, resetUpstream: resetUpstream,
            groups: groups + [OpenAPIRoutes(describing: OperationsRoutes.routes + groups.flatMap(\.routes))],
            audit: audit, requests: requests)
        self.requests = requests
        self.eventLoopGroup = eventLoopGroup
        self.logger = logger
        self.onRunning = onRunning
    }

    /// The service's name in log lines of the service lifecycle.
    package var description: String { "operations" }

    package func run() async throws {
        let connections = OperationsConnections(limits)
        let router = routes.router(gate: gate, tokens: tokens, limits: limits, connections: connections)
        requests?.respond(routes.forwardedResponder(logger: logger))
        let listener = OperationsListener(address: address, inherited: inherited, connections: connections, logger: logger)
        let channel = OperationsChannel(
            responder: OperationsListener.responder(router, logger: logger), limits: limits, tls: tls, connections: connections)
        try await ListenerFailure.convertingErrors("operations.address", address) {
            try await listener.run(on: eventLoopGroup, channel: channel) { [onRunning] channel in
                if let address = channel.localAddress { await onRunning(address) }
            }
        }
    }
}

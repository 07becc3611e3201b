import Logging

/// Everything about Parley that an operator can set, as plain typed values.
///
/// A value of this type is complete: every key has a value, checked one by one and against the others. How it is read from files,
/// variables and flags is `ConfigurationLoader`'s matter; nothing here knows of YAML or of key names.
///
/// Times are `Duration`s (100 ms to 3650 days), sizes are bytes (to 10^12), counts and rates go to 10^9.
/// Where a value is a limit, 0 turns it off; the few that can't be turned off say so.
package struct GatewayConfiguration: Sendable, Equatable {
    /// Where this gateway runs: chooses the defaults, the second file, and how strict the rules are.
    package var environment: DeploymentEnvironment = .development
    /// The TLS listener.
    package var listen = ConfigurationSection.Listen()
    /// Certificates, versions and deadlines of TLS.
    package var tls = ConfigurationSection.TLS()
    /// The HTTP request before the upgrade.
    package var http = ConfigurationSection.HTTP()
    /// How many connections, from whom, and for how long.
    package var connections = ConfigurationSection.Connections()
    /// Framing and compression, RFC 6455 and RFC 7692.
    package var websocket = ConfigurationSection.WebSocket()
    /// Liveness of a connection.
    package var heartbeat = ConfigurationSection.Heartbeat()
    /// What one message may be.
    package var messages = ConfigurationSection.Messages()
    /// How much one session may send.
    package var limits = ConfigurationSection.Limits()
    /// How many sessions, for how long, and what they remember.
    package var sessions = ConfigurationSection.Sessions()
    /// The way out: toward the client, and toward the upstream.
    package var delivery = ConfigurationSection.Delivery()
    /// Where acknowledged messages are kept.
    package var store = ConfigurationSection.Store()
    /// Reports of ended sessions.
    package var reports = ConfigurationSection.Reports()
    /// The second listener: health, metrics, operations.
    package var operations = ConfigurationSection.Operations()
    /// Log lines on standard output.
    package var logging = ConfigurationSection.Logging()
    /// From SIGTERM to exit.
    package var shutdown = ConfigurationSection.Shutdown()
    /// Who may connect.
    package var auth = ConfigurationSection.Authentication()
    /// What Parley stands in front of, by name.
    package var upstreams: [String: Upstream] = [:]
    /// Which requests go where, by name. Without any, all go to the loopback.
    package var routes: [String: Route] = [:]
    /// What only protocol conformance suites need.
    package var conformance = ConfigurationSection.Conformance()

    package init() {}

    /// The built-in defaults of an environment, which hold where no file, variable or flag says otherwise.
    package static func defaults(for environment: DeploymentEnvironment) -> GatewayConfiguration {
        var values = GatewayConfiguration()
        values.environment = environment
        switch environment {
        case .development:
            values.listen.address = SocketEndpoint(host: "127.0.0.1", port: 8443)
            values.http.allowedOrigins = ["*"]
            values.connections.perAddress = 1000
            values.connections.handshakesPerSecond = 0
            values.heartbeat.staleAfter = .seconds(60)
            values.messages.unknownFields = .reject
            values.limits.textPerMinute = 600
            values.limits.audioPerMinute = 300
            values.limits.perAddressFactor = 1000
            values.sessions.sweep = .seconds(30)
            values.store.kind = .memory
            values.logging.level = .debug
            values.logging.format = .console
            values.shutdown.drain = .seconds(2)
        case .staging:
            values.heartbeat.staleAfter = .seconds(90)
        case .production:
            values.reports.content = .metadata
            values.auth.mode = .jwt
        }
        return values
    }
}

/// Where a gateway runs. Read from `--environment` or `PARLEY_ENVIRONMENT`; development unless told otherwise.
package enum DeploymentEnvironment: String, Sendable, CaseIterable {
    case development, staging, production
}

// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Logging

/// All settings of Parley, as plain typed values.
///
/// A value of this type is complete: every key has a value, checked by itself and against the others. `ConfigurationLoader` reads it from
/// files, variables and flags; this type is independent of YAML and of key names.
///
/// Times are `Duration`s (100 ms to 3650 days), sizes are bytes (to 10^12), counts and rates go to 10^9. If a value is a limit, 0 disables
/// it, unless its comment states otherwise.
package struct GatewayConfiguration: Sendable, Equatable {
    /// The deployment environment: selects the defaults, the second file, and how strict the rules are.
    package var environment: DeploymentEnvironment = .development
    /// The TLS listener.
    package var listen = ConfigurationSection.Listen()
    /// Certificates, versions and deadlines of TLS.
    package var tls = ConfigurationSection.TLS()
    /// The HTTP request before the upgrade.
    package var http = ConfigurationSection.HTTP()
    /// Limits on connections: number, by address and user, and age.
    package var connections = ConfigurationSection.Connections()
    /// Framing and compression, RFC 6455 and RFC 7692.
    package var websocket = ConfigurationSection.WebSocket()
    /// Liveness checks of connections.
    package var heartbeat = ConfigurationSection.Heartbeat()
    /// Limits on a single message.
    package var messages = ConfigurationSection.Messages()
    /// Rate limits of a session.
    package var limits = ConfigurationSection.Limits()
    /// Limits on sessions: number, lifetime, history and memory.
    package var sessions = ConfigurationSection.Sessions()
    /// Queues and timeouts toward the client and the upstream.
    package var delivery = ConfigurationSection.Delivery()
    /// The store of acknowledged messages.
    package var store = ConfigurationSection.Store()
    /// The links between the nodes of a cluster.
    package var cluster = ConfigurationSection.Cluster()
    /// Reports of ended sessions.
    package var reports = ConfigurationSection.Reports()
    /// Messages that a back office pushes into sessions.
    package var push = ConfigurationSection.Push()
    /// Operators who take sessions over.
    package var supervision = ConfigurationSection.Supervision()
    /// The second listener: health, metrics, operations.
    package var operations = ConfigurationSection.Operations()
    /// Log lines on standard output.
    package var logging = ConfigurationSection.Logging()
    /// The audit log.
    package var audit = ConfigurationSection.Audit()
    /// Traces of connections and messages.
    package var tracing = ConfigurationSection.Tracing()
    /// The shutdown, from SIGTERM to exit.
    package var shutdown = ConfigurationSection.Shutdown()
    /// Authentication of clients.
    package var auth = ConfigurationSection.Authentication()
    /// Limits on what each user may use per day and month.
    package var quotas = QuotaLimits()
    /// Upstreams by name.
    package var upstreams: [String: Upstream] = [:]
    /// Routes by name. Without any, all requests go to the loopback.
    package var routes: [String: Route] = [:]
    package var demo = ConfigurationSection.Demo()
    /// Settings that only protocol conformance suites need.
    package var conformance = ConfigurationSection.Conformance()

    package init() {}

    /// Returns the built-in defaults of an environment, for keys that no file, variable or flag sets.
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
            values.auth.mode = .none
            values.demo.enabled = true
        case .staging:
            values.heartbeat.staleAfter = .seconds(90)
        case .production:
            values.reports.content = .metadata
        }
        return values
    }
}

/// The deployment environment, read from `--environment` or `PARLEY_ENVIRONMENT`; development by default.
package enum DeploymentEnvironment: String, Sendable, CaseIterable {
    case development, staging, production
}

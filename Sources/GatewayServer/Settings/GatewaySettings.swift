// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import GatewayWebSocket

/// The part of the configuration that connections use, compiled at startup and on reload.
package struct GatewaySettings: Sendable {
    package var session: SharedPolicy
    package var heartbeat: Heartbeat.Policy
    package var webSocket: WebSocketLimits
    package var compression: CompressionMode
    package var isDevelopment: Bool
    /// `.max` when off, like all durations and limits below.
    package var handshakeTimeout: Instant.Duration
    package var headerTimeout: Instant.Duration
    package var closeTimeout: Instant.Duration
    package var sendTimeout: Instant.Duration
    package var maximumAge: Instant.Duration
    package var sweepInterval: Instant.Duration
    package var socketQueueBytes: Int
    /// `delivery.coalesce`; zero when off.
    package var coalesce: Instant.Duration
    package var memoryReclaim: MemoryReclaim
    package var maximumHeaderBytes: Int
    package var maximumHeaders: Int
    package var acceptsQueryTokens: Bool
    package var allowedOrigins: Set<String>
    /// `listen.proxy_protocol`
    package var proxyProtocol: ProxyProtocolMode
    package var offersEcho: Bool
    package var assets: PublicAssets
    /// `reports.content`
    package var reportDepth: ReportDepth

    /// The limits of `/echo`: conformance suites send messages of up to 64 MiB in any number of fragments.
    package static let echoLimits = WebSocketLimits(maxMessageBytes: 64 << 20, maxFragments: 0)

    /// The interval between ticks of a connection without an earlier deadline, and thus the maximum delay of its deadlines: 100 ms if a heartbeat
    /// time or a timeout is 2 s or less, otherwise 500 ms.
    package var idleTickInterval: Instant.Duration {
        let heartbeats = min(heartbeat.interval, heartbeat.timeout, heartbeat.staleAfter)
        return min(.nanoseconds(heartbeats), sendTimeout, closeTimeout) <= .seconds(2) ? .milliseconds(100) : .milliseconds(500)
    }
}

extension GatewaySettings {
    package init(_ configuration: GatewayConfiguration) {
        session = SharedPolicy(SessionPolicy(configuration))
        heartbeat = Heartbeat.Policy(
            interval: configuration.heartbeat.interval, timeout: configuration.heartbeat.timeout,
            staleAfter: configuration.heartbeat.staleAfter)
        webSocket = WebSocketLimits(
            maxMessageBytes: configuration.websocket.maxMessageBytes, maxFragments: configuration.websocket.maxFragments)
        compression = configuration.websocket.compression
        isDevelopment = configuration.environment == .development
        handshakeTimeout = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.tls.handshakeTimeout))
        headerTimeout = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.http.headerTimeout))
        closeTimeout = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.websocket.closeTimeout))
        sendTimeout = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.delivery.sendTimeout))
        maximumAge = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.connections.maxAge))
        sweepInterval = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.sessions.sweep))
        socketQueueBytes = ConfiguredLimit.unlimitedIfZero(configuration.delivery.socketQueueBytes)
        coalesce = Instant.Duration(configuration.delivery.coalesce)
        memoryReclaim = MemoryReclaim(budget: ConfiguredLimit.unlimitedIfZero(configuration.sessions.totalMemoryBudget))
        maximumHeaderBytes = ConfiguredLimit.unlimitedIfZero(configuration.http.maxHeaderBytes)
        maximumHeaders = ConfiguredLimit.unlimitedIfZero(configuration.http.maxHeaders)
        acceptsQueryTokens = configuration.http.queryTokens
        allowedOrigins = Set(configuration.http.allowedOrigins)
        proxyProtocol = configuration.listen.proxyProtocol
        offersEcho = configuration.conformance.echo
        assets = PublicAssets(includesDemo: configuration.demo.enabled)
        reportDepth = ReportDepth(configuration.reports.content)
    }
}

extension ConnectionLimits.Policy {
    package init(_ configuration: GatewayConfiguration) {
        self.init(
            sockets: configuration.connections.maxSockets, webSockets: configuration.connections.max,
            webSocketsPerAddress: configuration.connections.perAddress,
            handshakesPerSecond: configuration.connections.handshakesPerSecond,
            tokenFailuresPerMinute: configuration.auth.mode == .jwt ? configuration.auth.failuresPerMinute : 0,
            trustedProxies: TrustedProxies(configuration.connections.trustedProxies))
    }
}

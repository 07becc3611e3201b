// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import NIOCore
import NIOHTTP1
import ParleyClient

/// A configured upstream with its pool and its service.
final class Upstream: Sendable {
    let name: String
    let configuration: GatewayConfiguration.Upstream
    let pool: UpstreamPool
    let policy: CallPolicy
    let service: any UpstreamService
    /// The fingerprint of the certificate and CA files that were loaded.
    let credentials: ConfigurationFingerprint

    init(
        name: String, _ configuration: GatewayConfiguration.Upstream, group: any EventLoopGroup, logger: Logger,
        clock: @escaping @Sendable () -> Instant
    ) throws {
        self.name = name
        self.configuration = configuration
        // Computed before the files are loaded, so that a later change is detected.
        credentials = ConfigurationFingerprint(of: configuration.credentialFiles)
        let addresses =
            switch configuration.kind {
            case .loopback, .process: [name]
            default: configuration.urls.map { $0.location.authority }
            }
        pool = UpstreamPool(
            name: name, addresses: addresses, paths: configuration.requestPaths, policy: UpstreamPool.Policy(configuration), logger: logger,
            clock: clock)
        policy = CallPolicy(configuration)
        service =
            switch configuration.kind {
            case .loopback: LoopbackService()
            case .openai, .http: try HTTPService(configuration, pool: pool, group: group)
            case .websocket, .vosk: try SocketService(configuration, pool: pool)
            case .process: try ProcessService(configuration, pool: pool, logger: logger)
            }
    }

    /// The upstream as a stage of a chain.
    var stage: Chain.Stage {
        Chain.Stage(
            role: configuration.role,
            requiresRecording: configuration.kind == .http || (configuration.kind == .openai && configuration.task == .transcription),
            stripsMarkdown: configuration.stripMarkdown)
    }

    var statistics: UpstreamStatistics {
        let now = pool.snapshot()
        let wall = LoopClock.wallMilliseconds()
        var statistics = UpstreamStatistics(
            name: name, kind: configuration.kind.rawValue, state: pool.condition.rawValue, active: now.active, waiting: now.waiting,
            endpoints: now.endpoints.indices.map { index in
                let endpoint = now.endpoints[index]
                var statistics = UpstreamStatistics.Endpoint(
                    address: pool.addresses[index], breaker: now.states[index].rawValue, healthy: endpoint.isHealthy,
                    outstanding: endpoint.outstanding, requests: endpoint.requests, failures: endpoint.failures)
                statistics.since = wall - now.stateDurations[index].milliseconds
                return statistics
            })
        statistics.permits = ResourceFigure(current: now.active, peak: now.permits.peak, maximum: now.permits.limit)
        statistics.queue = ResourceFigure(current: now.waiting, peak: now.queue.peak, maximum: now.queue.limit)
        statistics.completed = now.counts.completed
        statistics.failed = now.counts.failed
        statistics.cancelled = now.counts.cancelled
        statistics.retries = now.counts.retries
        statistics.hedges = now.counts.hedges
        statistics.shared = now.counts.shared
        statistics.connections = now.counts.connections
        return statistics
    }
}

extension GatewayConfiguration.Upstream {
    /// The paths of certificate, key and CA files.
    var credentialFiles: [String] {
        [authority, clientCertificate?.certificate, clientCertificate?.key].compactMap(\.self)
    }

    /// Adds the header fields of every request and WebSocket handshake: user agent, authorization, configured fields.
    func addFields(to headers: inout HTTPHeaders) {
        headers.add(name: "User-Agent", value: "parley")
        if let apiKey { headers.replaceOrAdd(name: "Authorization", value: "Bearer \(apiKey)") }
        for field in self.headers { headers.replaceOrAdd(name: field.name, value: field.value) }
    }
}

extension GatewayConfiguration.Upstream {
    /// The request path of each endpoint, without the query; for a process, its program.
    var requestPaths: [String] {
        switch kind {
        case .loopback: []
        case .process: Array(command.prefix(1))
        default: urls.indices.map(requestPath)
        }
    }

    /// Returns the request path of an endpoint, without the query.
    func requestPath(to endpoint: Int) -> String {
        var path = urls[endpoint].location.target.prefix { $0 != "?" }
        if !apiPath.isEmpty, path.hasSuffix("/") { path.removeLast() }
        return path + apiPath
    }
}

extension UpstreamPool.Policy {
    init(_ configuration: GatewayConfiguration.Upstream) {
        self.init()
        permits = ConfiguredLimit.unlimitedIfZero(
            configuration.kind == .process ? configuration.maxProcesses : configuration.maxConnections)
        if configuration.kind == .websocket { permits = .max }
        queue = configuration.maxWaiting
        breaker.failures = configuration.breakerFailures
        breaker.rate = configuration.breakerRate == 0 ? .infinity : configuration.breakerRate
        breaker.openDuration = Instant.Duration(configuration.breakerOpen)
        breaker.probes = configuration.breakerProbes
        retryShare = configuration.retryBudget
    }
}

extension CallPolicy {
    init(_ configuration: GatewayConfiguration.Upstream) {
        self.init()
        timeouts.waiting = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.waitTimeout))
        timeouts.connect = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.connectTimeout))
        timeouts.firstByte = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.firstByteTimeout))
        timeouts.betweenBytes = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.betweenBytesTimeout))
        timeouts.total = .nanoseconds(ConfiguredLimit.unlimitedIfZero(configuration.totalTimeout))
        retries = configuration.retries
        isRepeatable = configuration.isRepeatable
        hedgeAfter = Instant.Duration(configuration.hedgeAfter)
        maxAnswerBytes = ConfiguredLimit.unlimitedIfZero(configuration.maxAnswerBytes)
    }
}

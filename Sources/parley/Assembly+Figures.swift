// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import GatewayTLS
import Logging
import Synchronization

/// The figures of the gateway for operators: their sources, and the features of the operations listener that show them.
struct OperatorFigures {
    let sampler: OverviewSampler
    let features: [OperationsFeature]

    /// - Parameters:
    ///   - certificates: returns the TLS context of each listener with the configuration key of its certificates
    ///   - started: the start of the process in Unix milliseconds
    init(
        gateway: Gateway, shared: SharedGateway, configuration: @escaping @Sendable () -> GatewayConfiguration, logs: Logs,
        logLevel: LogLevelControl, certificates: @escaping @Sendable () -> [(key: String, context: TLSContext?)], started: Int64
    ) {
        let window = Mutex(LatencyWindow())
        sampler = OverviewSampler(onSample: { logs.tail.wake() }, onFinish: { logs.tail.finish() }) {
            let readings = await gateway.readings()
            let total = LoopReading.total(readings)
            var overview = Self.overview(
                total, gateway, shared, configuration(), logs: logs, logLevel: logLevel, started: started)
            overview.memory.current = readings.reduce(0) { $0 + $1.memoryBytes }
            overview.latency = window.withLock { $0.add(total, at: Instant(nanoseconds: LoopClock.monotonicNanoseconds())) }
            return overview
        }
        features = [
            .overview(
                sampler, upstreams: { shared.upstream.statistics },
                certificates: {
                    let now = LoopClock.wallMilliseconds()
                    return certificates().flatMap { key, context in
                        (context?.certificates ?? []).map { CertificateView($0, key: key, now: now) }
                    }
                }),
            .connections(
                gateway, statistics: { await Self.statistics(gateway, shared, started: started) },
                rates: { await Self.rates(gateway, configuration()) }),
            .log(logs.tail, level: logLevel, logger: Logger(label: "parley.operations")),
        ]
    }

    private static func overview(
        _ metrics: LoopMetrics, _ gateway: Gateway, _ shared: SharedGateway, _ configuration: GatewayConfiguration, logs: Logs,
        logLevel: LogLevelControl,
        started: Int64
    ) -> Overview {
        var overview = Overview(
            at: LoopClock.wallMilliseconds(), node: shared.cluster?.directory.record.name ?? NodeName.current, version: Version.number,
            commit: Version.commit,
            environment: configuration.environment.rawValue, startedAt: started)
        overview.state = gateway.state
        overview.connections = shared.connectionLimits.figure
        overview.sessions = shared.sessions.figure
        overview.attachedSessions = shared.sessions.attachedFigure
        overview.memory = ResourceFigure(
            current: 0, peak: shared.peakMemoryBytes,
            limit: configuration.sessions.totalMemoryBudget == 0 ? nil : configuration.sessions.totalMemoryBudget)
        overview.descriptors = shared.descriptors.figure
        overview.totals.connections = shared.connectionLimits.totalWebSockets
        overview.totals.messagesIn = metrics.inbound.total
        overview.totals.messagesOut = metrics.outbound.total
        overview.totals.bytesIn = metrics.bytesIn
        overview.totals.bytesOut = metrics.bytesOut
        overview.totals.errors = metrics.errors.total
        overview.upstreams = shared.upstream.statistics
        let level = logLevel.current
        overview.log.level = level.level.rawValue
        overview.log.until = level.until
        overview.log.written = logs.written
        overview.log.dropped = logs.dropped
        return overview
    }

    private static func statistics(_ gateway: Gateway, _ shared: SharedGateway, started: Int64) async -> ConnectionStatistics {
        let counters = await gateway.counters()
        var statistics = ConnectionStatistics()
        statistics.totalConnections = shared.connectionLimits.totalWebSockets
        statistics.activeConnections = shared.connectionLimits.webSockets
        statistics.sessionsWithConnections = shared.sessions.attached
        statistics.detachedSessions = shared.sessions.detached
        statistics.messagesIn = counters.messagesIn
        statistics.messagesOut = counters.messagesOut
        statistics.errors = counters.errors.values.reduce(0, &+)
        statistics.uptimeMilliseconds = LoopClock.wallMilliseconds() - started
        return statistics
    }

    private static func rates(_ gateway: Gateway, _ configuration: GatewayConfiguration) async -> [RateLimitView] {
        let rejected = LoopReading.total(await gateway.readings()).rateLimited
        let limited = await gateway.sessionsLimited()
        let values = configuration.limits
        var views = Limit.allCases.map { limit in
            RateLimitView(
                rule: limit.name, limit: values.value(of: limit, configuration), rejectedTotal: rejected[RateRule(limit)],
                sessionsLimited: limited[limit] ?? 0)
        }
        views.append(
            RateLimitView(
                rule: RateRule.global.label, limit: Double(values.globalPerSecond), rejectedTotal: rejected[.global], sessionsLimited: 0))
        return views
    }
}

extension RateRule {
    fileprivate init(_ limit: Limit) {
        self =
            switch limit {
            case .text: .text
            case .audio: .audio
            case .chunk: .chunk
            case .realtime: .realtime
            case .control: .control
            case .byte: .byte
            case .rejection: .rejection
            case .violation: .violation
            }
    }
}

extension ConfigurationSection.Limits {
    /// Returns the configured value of a limit; 0 if it is off.
    fileprivate func value(of limit: Limit, _ configuration: GatewayConfiguration) -> Double {
        switch limit {
        case .text: Double(textPerMinute)
        case .audio: Double(audioPerMinute)
        case .chunk: Double(audioChunksPerSecond)
        case .realtime: audioRealtimeFactor
        case .control: Double(controlPerMinute)
        case .byte: Double(bytesPerSecond)
        case .rejection: Double(refusalsPerMinute)
        case .violation: Double(configuration.messages.maxViolations)
        }
    }
}

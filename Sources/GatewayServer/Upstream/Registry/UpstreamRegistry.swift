// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import Logging
package import NIOCore
import ServiceLifecycle

/// The configured upstreams and the routes to them.
///
/// A reload replaces only what has changed. Requests in flight stay with their upstreams; new requests use the new plan.
package final class UpstreamRegistry: UpstreamProvider, Service {
    private let plans: UpstreamPlans
    private let clock: @Sendable () -> Instant
    private let logger: Logger
    private let group: any EventLoopGroup
    private let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation
    private let shared = RequestDeduplication()

    /// - Parameter clock: the same for all event loops
    private let tracer: Tracer?

    package init(
        _ configuration: GatewayConfiguration, group: any EventLoopGroup, tracer: Tracer? = nil, logger: Logger,
        clock: @escaping @Sendable () -> Instant = UpstreamPool.monotonic
    ) throws {
        self.tracer = tracer
        self.clock = clock
        self.logger = logger
        self.group = group
        plans = UpstreamPlans(try Self.plan(configuration, keeping: [], group: group, logger: logger, clock: clock))
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    private var plan: UpstreamPlan { plans.current }

    /// Applies a reloaded configuration and resets all circuit breakers.
    ///
    /// - Throws: when certificates can't be read; the registry is then unchanged
    package func apply(_ configuration: GatewayConfiguration) throws {
        let old = plan
        let new = try Self.plan(configuration, keeping: old.upstreams, group: group, logger: logger, clock: clock)
        let kept = Set(new.upstreams.map { ObjectIdentifier($0) })
        for upstream in new.upstreams { upstream.pool.resetBreakers(because: "configuration reloaded") }
        plans.replace(with: new, retiring: old.upstreams.filter { !kept.contains(ObjectIdentifier($0)) })
        changed.yield()
    }

    private static func plan(
        _ configuration: GatewayConfiguration, keeping old: [Upstream], group: any EventLoopGroup, logger: Logger,
        clock: @escaping @Sendable () -> Instant
    ) throws -> UpstreamPlan {
        let names = configuration.upstreams.keys.sorted()
        let upstreams = try names.map { name in
            let wanted = configuration[upstream: name]
            if let same = old.first(where: { $0.name == name && $0.configuration == wanted }),
                same.credentials == ConfigurationFingerprint(of: wanted.credentialFiles)
            {
                return same
            }
            return try Upstream(name: name, wanted, group: group, logger: logger, clock: clock)
        }
        let routes = configuration.routes.sorted { $0.key < $1.key }.map { name, wanted in
            Route(name: name, wanted, upstreamNames: names, roles: upstreams.map(\.stage.role))
        }
        return UpstreamPlan(table: RouteTable(routes), upstreams: upstreams)
    }

    // MARK: Event loops and operators

    package func makeLinkFactory(on eventLoop: any EventLoop, now: @escaping () -> Instant) -> any UpstreamLinkFactory {
        LoopUpstreamRegistry(plans: plans, shared: shared, calls: CallContext(eventLoop: eventLoop, tracer: tracer, clock: now))
    }

    package var paths: Set<String> { Set(plan.table.routes.compactMap(\.path)) }

    package var statistics: [UpstreamStatistics] { plan.upstreams.map(\.statistics) }

    package var readings: [UpstreamReading] {
        plan.upstreams.map { UpstreamReading(statistics: $0.statistics, metrics: $0.pool.metrics) }
    }

    /// Resets the circuit breakers of an upstream.
    ///
    /// - Returns: the statistics of the upstream afterwards; nil when no upstream has that name
    package func reset(_ name: String) -> UpstreamStatistics? {
        guard let upstream = plan.upstreams.first(where: { $0.name == name }) else { return nil }
        upstream.pool.resetBreakers(because: "requested by an operator")
        return upstream.statistics
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            await withDiscardingTaskGroup { group in
                var running: Set<ObjectIdentifier> = []
                func begin() {
                    for upstream in plan.upstreams where running.insert(ObjectIdentifier(upstream)).inserted {
                        group.addTask { await upstream.service.run() }
                    }
                }
                begin()
                for await _ in changes {
                    begin()
                    for upstream in plans.takeRetiring() {
                        running.remove(ObjectIdentifier(upstream))
                        group.addTask { await upstream.service.retire() }
                    }
                }
                group.cancelAll()
            }
        }
    }
}

extension UpstreamRegistry {
    /// The state of the worst upstream: unavailable when an upstream has no available endpoint, degraded when any endpoint is unavailable.
    package var state: UpstreamState {
        var worst = UpstreamState.ready
        for upstream in plan.upstreams {
            switch upstream.pool.condition {
            case .ready: break
            case .degraded: if worst == .ready { worst = .degraded }
            case .unavailable: worst = .unavailable
            }
        }
        return worst
    }
}

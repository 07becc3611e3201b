// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import Logging
package import NIOCore

/// The part of the gateway on one event loop: state, connections and sessions. Shards share only ``SharedGateway``.
package final class GatewayShard {
    package let loop: EventLoopState
    package let connections = ConnectionTable()
    package let sessions: LocalSessionTable
    private let survey = SessionSurvey()
    private var nextAccounting: Instant
    private var nextSweep: Instant
    private var nextDetachedTick: Instant

    /// The interval at which deadlines are checked.
    package static let tickInterval = TimeAmount.milliseconds(100)
    private static let detachedTickInterval = Instant.Duration.milliseconds(500)

    package init(eventLoop: any EventLoop, shared: SharedGateway, settings: GatewaySettings, seed: UInt64, logger: Logger) {
        loop = EventLoopState(eventLoop: eventLoop, shared: shared, settings: settings, seed: seed, logger: logger)
        sessions = LocalSessionTable(loop: loop)
        nextAccounting = loop.clock.now
        nextSweep = nextAccounting
        nextDetachedTick = nextAccounting
    }

    /// Handles everything that is due on this event loop. Must be called every ``tickInterval``.
    package func tick() {
        if let delay = loop.gauges.tickBegan(now: loop.sharedNow) { loop.metrics.lag.record(delay) }
        defer { loop.gauges.tickEnded(now: loop.sharedNow, interval: .nanoseconds(Self.tickInterval.nanoseconds)) }
        let now = loop.tick()
        connections.tick(now: now, idleTickInterval: loop.settings.idleTickInterval)
        loop.upstreams.tick(now: now)
        sessions.tickPushes()
        // Every half second, so that a detached session ends at most a second after its deadline.
        if now >= nextDetachedTick {
            let elapsed = max(.zero, now - nextDetachedTick) + Self.detachedTickInterval
            nextDetachedTick = now + Self.detachedTickInterval
            sessions.tickDetached(now: now, elapsed: elapsed)
        }
        survey.tick(sessions, now: now)
        if now >= nextAccounting {
            nextAccounting = now + .seconds(1)
            sessions.accountMemory()
            loop.gauges.measureUtilization(now: loop.sharedNow)
            loop.logSuppressed(now: now)
            loop.audit?.recordSuppressed(now: now, wall: LoopClock.wallMilliseconds())
        }
        if now >= nextSweep { sweep(now: now) }
    }

    /// Removes expired entries. The timing doesn't matter: expired entries have no effect.
    private func sweep(now: Instant) {
        nextSweep = now + loop.settings.sweepInterval
        let sharedNow = Instant(nanoseconds: LoopClock.monotonicNanoseconds())
        loop.shared.connectionLimits.sweep(now: sharedNow)
        loop.shared.limiters.sweep(now: sharedNow)
    }

    package func apply(_ settings: GatewaySettings) {
        loop.apply(settings)
        sessions.apply(settings)
    }
}

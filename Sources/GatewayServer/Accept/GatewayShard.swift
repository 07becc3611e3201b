import GatewayCore
package import Logging
package import NIOCore

/// The gateway on one event loop: its state, its connections and its sessions. Shards have only ``SharedGateway`` in common.
package final class GatewayShard {
    package let loop: EventLoopState
    package let connections = ConnectionTable()
    package let sessions: LocalSessionTable
    private var nextAccounting: Instant
    private var nextSweep: Instant
    private var nextLook: Instant

    /// The time between two ticks; deadlines act within 100 ms.
    package static let tickInterval = TimeAmount.milliseconds(100)
    private static let lookInterval = Instant.Duration.milliseconds(500)

    package init(eventLoop: any EventLoop, shared: SharedGateway, settings: GatewaySettings, seed: UInt64, logger: Logger) {
        loop = EventLoopState(eventLoop: eventLoop, shared: shared, settings: settings, seed: seed, logger: logger)
        sessions = LocalSessionTable(loop: loop)
        nextAccounting = loop.clock.now
        nextSweep = nextAccounting
        nextLook = nextAccounting
    }

    /// Acts on everything that is due on this loop. To be called every ``tickInterval``.
    package func tick() {
        let now = loop.tick()
        connections.tick(now: now, restInterval: loop.settings.restInterval)
        loop.upstreams.tick(now: now)
        // Half a second apart: their deadlines act within one.
        if now >= nextLook {
            let passed = max(.zero, now - nextLook) + Self.lookInterval
            nextLook = now + Self.lookInterval
            sessions.tickDetached(now: now, passed: passed)
        }
        if now >= nextAccounting {
            nextAccounting = now + .seconds(1)
            sessions.accountMemory()
            loop.logSuppressed(now: now)
        }
        if now >= nextSweep { sweep(now: now) }
    }

    /// Removes expired entries. Nothing depends on when: deadlines act by themselves.
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

// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The algorithm of ``Limiter`` on an atomic, shared by the sessions of several event loops.
package struct AtomicLimiter: ~Copyable, Sendable {
    private let paidAt = Atomic<Int64>(.min)

    package init() {}

    /// Admits `units`, or returns how long to wait until the same units would be admitted.
    package func admit(_ units: Int64, at rate: Rate, now: Instant) -> Instant.Duration? {
        if rate.isUnlimited { return nil }
        let cost = rate.cost(of: units)
        var current = paidAt.load(ordering: .relaxed)
        while true {
            let start = max(Instant(nanoseconds: current), now)
            if let excess = excess(over: rate, cost: cost, start: start, now: now) { return excess }
            let (exchanged, original) = paidAt.compareExchange(
                expected: current, desired: (start + cost).nanoseconds, ordering: .relaxed)
            if exchanged { return nil }
            current = original
        }
    }

    /// Returns the result of ``admit(_:at:now:)`` without admitting.
    package func wait(for units: Int64, at rate: Rate, now: Instant) -> Instant.Duration? {
        if rate.isUnlimited { return nil }
        let start = max(Instant(nanoseconds: paidAt.load(ordering: .relaxed)), now)
        return excess(over: rate, cost: rate.cost(of: units), start: start, now: now)
    }

    private func excess(over rate: Rate, cost: Instant.Duration, start: Instant, now: Instant) -> Instant.Duration? {
        let excess = min(start - now, Limiter.maximumOwed) + min(cost, rate.burst) - rate.burst
        return excess > .zero ? excess : nil
    }

    /// The current state as a value.
    package var snapshot: Limiter { Limiter(paidAt: Instant(nanoseconds: paidAt.load(ordering: .relaxed))) }
}

/// The limiter of all sessions on all event loops (`limits.global_per_second`).
///
/// Alone, a gateway limits by itself. Gateways with a shared store spend units that the store has granted to them in advance (see
/// ``share(_:)``), so that a message waits for nothing: the limit is exact but for the units that each gateway has in stock.
package final class SharedLimiter: Sendable {
    private let limiter = AtomicLimiter()
    private let shared = Mutex<UnitStock?>(nil)
    private let isShared = Atomic<Bool>(false)

    package init() {}

    /// Admits one unit, or returns how long to wait.
    package func admit(at rate: Rate, now: Instant) -> Instant.Duration? {
        guard !rate.isUnlimited else { return nil }
        guard isShared.load(ordering: .relaxed) else { return limiter.admit(1, at: rate, now: now) }
        // The stock is set once, so the lock is never held for long.
        return shared.withLock { $0 }?.admit(at: rate, now: now)
    }

    /// Admits units from a stock from now on. Called once, before connections are accepted.
    package func share(_ stock: UnitStock) {
        shared.withLock { $0 = stock }
        isShared.store(true, ordering: .relaxed)
    }
}

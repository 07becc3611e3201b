import Synchronization

/// The same algorithm as ``Limiter`` on an atomic, for sessions of several event loops.
package struct AtomicLimiter: ~Copyable, Sendable {
    private let paidAt = Atomic<Int64>(.min)

    package init() {}

    /// Admits `units`, or tells how many nanoseconds to wait until the same units would be admitted.
    package func admit(_ units: Int64, at rate: Rate, now: Instant) -> Int64? {
        if rate.isUnlimited { return nil }
        let cost = rate.cost(of: units)
        var current = paidAt.load(ordering: .relaxed)
        while true {
            let start = max(current, now.nanoseconds)
            if let excess = excess(over: rate, cost: cost, start: start, now: now) { return excess }
            let (exchanged, original) = paidAt.compareExchange(
                expected: current, desired: Instant(nanoseconds: start).advanced(byNanoseconds: cost).nanoseconds, ordering: .relaxed)
            if exchanged { return nil }
            current = original
        }
    }

    /// Returns the result of ``admit(_:at:now:)`` without admitting.
    package func wait(for units: Int64, at rate: Rate, now: Instant) -> Int64? {
        if rate.isUnlimited { return nil }
        let start = max(paidAt.load(ordering: .relaxed), now.nanoseconds)
        return excess(over: rate, cost: rate.cost(of: units), start: start, now: now)
    }

    private func excess(over rate: Rate, cost: Int64, start: Int64, now: Instant) -> Int64? {
        // Bounded as in `Limiter`: sums of it can't overflow, whatever the clock does.
        let owed = min(Instant(nanoseconds: start).nanoseconds(since: now), 1 << 61)
        let excess = owed + min(cost, rate.burstNanoseconds) - rate.burstNanoseconds
        return excess > 0 ? excess : nil
    }

    /// The limiter as a value, as of now.
    package var snapshot: Limiter { Limiter(paidAt: paidAt.load(ordering: .relaxed)) }
}

/// One limiter for all sessions of all event loops (`limits.global_per_second`).
package final class SharedLimiter: Sendable {
    private let limiter = AtomicLimiter()

    package init() {}

    /// Admits one unit, or tells how many nanoseconds to wait.
    package func admit(at rate: Rate, now: Instant) -> Int64? { limiter.admit(1, at: rate, now: now) }
}

import Synchronization

/// One limiter for all sessions of all event loops (`limits.global_per_second`): the same algorithm as ``Limiter`` on an atomic.
package final class SharedLimiter: Sendable {
    private let paidAt = Atomic<Int64>(.min)

    package init() {}

    /// Admits one unit, or tells how many nanoseconds to wait.
    package func admit(at rate: Rate, now: Instant) -> Int64? {
        if rate.isUnlimited { return nil }
        let cost = rate.cost(of: 1)
        var current = paidAt.load(ordering: .relaxed)
        while true {
            let start = max(current, now.nanoseconds)
            // Bounded as in `Limiter`: sums of it can't overflow, whatever the clock does.
            let owed = min(Instant(nanoseconds: start).nanoseconds(since: now), 1 << 61)
            let excess = owed + cost - rate.burstNanoseconds
            if excess > 0 { return excess }
            let (exchanged, original) = paidAt.compareExchange(
                expected: current, desired: start &+ cost, ordering: .relaxed)
            if exchanged { return nil }
            current = original
        }
    }
}

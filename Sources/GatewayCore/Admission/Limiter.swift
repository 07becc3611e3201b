// SPDX-License-Identifier: Apache-2.0

/// The generic cell rate algorithm (ITU-T I.371, virtual scheduling) in one integer: the time at which everything admitted is paid off.
///
/// A message that costs more than the whole burst is admitted when nothing is owed, and paid off in full afterwards: a whole recording can
/// be sent at once, but not two of them.
package struct Limiter: Sendable {
    private var paidAt = Self.never

    package init() {}

    init(paidAt: Instant) { self.paidAt = paidAt }

    /// The initial value: nothing has been admitted.
    static let never = Instant(nanoseconds: .min)

    /// Admits `units`, or returns how long to wait until the same units would be admitted.
    package mutating func admit(_ units: Int64, at rate: Rate, now: Instant) -> Instant.Duration? {
        if rate.isUnlimited { return nil }
        let cost = rate.cost(of: units)
        let owed = owed(at: now)
        let excess = owed + min(cost, rate.burst) - rate.burst
        if excess > .zero { return excess }
        paidAt = now + owed + cost
        return nil
    }

    /// Returns the result of ``admit(_:at:now:)`` without admitting.
    package func wait(for units: Int64, at rate: Rate, now: Instant) -> Instant.Duration? {
        var copy = self
        return copy.admit(units, at: rate, now: now)
    }

    /// Returns the units that would be admitted now, all at once.
    package func remaining(at rate: Rate, now: Instant) -> Int64 {
        if rate.isUnlimited { return .max }
        // As costs are rounded down, the last unit may be a fraction of a nanosecond short.
        let left = Double(max(.zero, rate.burst - owed(at: now)).nanoseconds)
        return Int64(min(((left + 1) / rate.nanosecondsPerUnit).rounded(.up) - 1, 9e18))
    }

    /// Converts times to another clock.
    package mutating func move(byNanoseconds difference: Int64) {
        guard paidAt != Self.never else { return }
        paidAt += .nanoseconds(difference)
    }

    /// Sets the debt as of `now`.
    mutating func restore(owed: Instant.Duration, at now: Instant) {
        if owed > .zero { paidAt = now + owed }
    }

    /// Returns the time from `now` until everything admitted is paid off, at most ``maximumOwed``, even if the clock jumps.
    func owed(at now: Instant) -> Instant.Duration { paidAt > now ? min(paidAt - now, Self.maximumOwed) : .zero }

    /// Whether something admitted isn't paid off yet.
    package func isOwing(at now: Instant) -> Bool { owed(at: now) > .zero }

    static let maximumOwed = Instant.Duration(nanoseconds: 1 << 61)
}

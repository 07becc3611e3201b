/// The generic cell rate algorithm (ITU-T I.371, virtual scheduling) in one integer: until when what was admitted is paid off.
///
/// A piece that costs more than the whole burst passes when nothing is owed, and is paid off in full afterwards:
/// a whole recording can be sent at once, but not two of them.
package struct Limiter: Sendable {
    private var paidAt: Int64 = .min

    package init() {}

    init(paidAt: Int64) { self.paidAt = paidAt }

    /// Admits `units`, or tells how many nanoseconds to wait until the same units would be admitted.
    package mutating func admit(_ units: Int64, at rate: Rate, now: Instant) -> Int64? {
        if rate.isUnlimited { return nil }
        let cost = rate.cost(of: units)
        let owed = owed(at: now)
        let excess = owed + min(cost, rate.burstNanoseconds) - rate.burstNanoseconds
        if excess > 0 { return excess }
        paidAt = now.advanced(byNanoseconds: owed + cost).nanoseconds
        return nil
    }

    /// What ``admit(_:at:now:)`` would say, without admitting.
    package func wait(for units: Int64, at rate: Rate, now: Instant) -> Int64? {
        var copy = self
        return copy.admit(units, at: rate, now: now)
    }

    /// Units that would pass at this moment, all at once.
    package func remaining(at rate: Rate, now: Instant) -> Int64 {
        if rate.isUnlimited { return .max }
        // As costs are rounded down, the last unit may be a fraction of a nanosecond short.
        let left = Double(max(0, rate.burstNanoseconds - owed(at: now)))
        return Int64(min(((left + 1) / rate.nanosecondsPerUnit).rounded(.up) - 1, 9e18))
    }

    /// Its times are now those of another clock.
    package mutating func move(byNanoseconds difference: Int64) {
        guard paidAt != .min else { return }
        paidAt = Instant(nanoseconds: paidAt).advanced(byNanoseconds: difference).nanoseconds
    }

    /// Owes so many nanoseconds at `now`.
    mutating func restore(owed: Int64, at now: Instant) {
        if owed > 0 { paidAt = now.advanced(byNanoseconds: owed).nanoseconds }
    }

    /// Nanoseconds from `now` until everything admitted is paid off. Never more than 2^61, so that sums of it can't overflow.
    func owed(at now: Instant) -> Int64 {
        guard paidAt > now.nanoseconds else { return 0 }
        let (owed, overflow) = paidAt.subtractingReportingOverflow(now.nanoseconds)
        return overflow ? 1 << 61 : min(owed, 1 << 61)
    }
}

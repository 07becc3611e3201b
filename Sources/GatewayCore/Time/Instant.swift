/// A point on a monotonic clock, in nanoseconds since an origin that is the same for all instants of one event loop.
///
/// The core never reads a clock: `now` comes in with every call.
package struct Instant: Comparable, Hashable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let distantFuture = Instant(nanoseconds: .max)

    package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Saturates instead of overflowing: a deadline of "never" stays one.
    package func advanced(byNanoseconds amount: Int64) -> Instant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(amount)
        return Instant(nanoseconds: overflow ? (amount > 0 ? .max : .min) : sum)
    }

    package func advanced(by duration: Duration) -> Instant { advanced(byNanoseconds: duration.clampedNanoseconds) }

    /// Nanoseconds from `other` to this instant, negative when this one is earlier. Saturates as well.
    package func nanoseconds(since other: Instant) -> Int64 {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(other.nanoseconds)
        return overflow ? (nanoseconds > other.nanoseconds ? .max : .min) : difference
    }
}

extension Duration {
    /// Whole nanoseconds, held within `Int64` (292 years).
    package var clampedNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds > 0 ? .max : .min }
        let (sum, carry) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carry ? (seconds > 0 ? .max : .min) : sum
    }

    package var clampedMilliseconds: Int64 { clampedNanoseconds / 1_000_000 }
}

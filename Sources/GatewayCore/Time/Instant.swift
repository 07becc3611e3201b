// SPDX-License-Identifier: Apache-2.0

/// A point on a monotonic clock, in nanoseconds since an origin that is the same for all instants of one event loop.
///
/// The core never reads a clock: `now` is passed with every call. Arithmetic saturates, so that a deadline of "never" remains "never".
package struct Instant: Comparable, Hashable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let distantFuture = Instant(nanoseconds: .max)

    package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

    @inline(__always)
    package static func + (instant: Self, duration: Duration) -> Self {
        Instant(nanoseconds: instant.nanoseconds.saturatingSum(duration.nanoseconds))
    }

    @inline(__always)
    package static func - (instant: Self, duration: Duration) -> Self {
        Instant(nanoseconds: instant.nanoseconds.saturatingDifference(duration.nanoseconds))
    }

    /// The time from `right` to `left`, negative when `left` is earlier.
    @inline(__always)
    package static func - (left: Self, right: Self) -> Duration {
        Duration(nanoseconds: left.nanoseconds.saturatingDifference(right.nanoseconds))
    }

    @inline(__always)
    package static func += (instant: inout Self, duration: Duration) { instant = instant + duration }

    package func advanced(byNanoseconds amount: Int64) -> Instant { self + .nanoseconds(amount) }

    package func advanced(by duration: Swift.Duration) -> Instant { self + Duration(duration) }

    package func nanoseconds(since other: Instant) -> Int64 { (self - other).nanoseconds }
}

extension Duration {
    /// Whole nanoseconds, clamped to `Int64` (292 years).
    package var clampedNanoseconds: Int64 { Instant.Duration(self).nanoseconds }

    package var clampedMilliseconds: Int64 { clampedNanoseconds / 1_000_000 }
}

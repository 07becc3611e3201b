// SPDX-License-Identifier: Apache-2.0

extension Instant {
    /// The length of time between two instants, in nanoseconds.
    ///
    /// A single integer avoids the 128-bit arithmetic of the standard library's `Duration` on the path of each message.
    /// Arithmetic saturates at the bounds of `Int64` (292 years).
    package struct Duration: Comparable, Hashable, Sendable {
        package var nanoseconds: Int64

        package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

        /// Converts a duration of the standard library to whole nanoseconds, clamped to `Int64`.
        package init(_ duration: Swift.Duration) {
            let (seconds, attoseconds) = duration.components
            let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
            guard !overflow else {
                self.init(nanoseconds: seconds > 0 ? .max : .min)
                return
            }
            self.init(nanoseconds: whole.saturatingSum(attoseconds / 1_000_000_000))
        }

        package static let zero = Duration(nanoseconds: 0)

        /// The longest duration; as a limit, it means no limit.
        package static let max = Duration(nanoseconds: .max)

        package static func nanoseconds(_ count: Int64) -> Self { Duration(nanoseconds: count) }
        package static func milliseconds(_ count: Int64) -> Self { Duration(nanoseconds: count.saturatingProduct(1_000_000)) }
        package static func seconds(_ count: Int64) -> Self { Duration(nanoseconds: count.saturatingProduct(1_000_000_000)) }

        /// Whole milliseconds, rounded towards zero.
        package var milliseconds: Int64 { nanoseconds / 1_000_000 }
    }
}

extension Instant.Duration {
    package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

    @inline(__always)
    package static func + (left: Self, right: Self) -> Self { Self(nanoseconds: left.nanoseconds.saturatingSum(right.nanoseconds)) }

    @inline(__always)
    package static func - (left: Self, right: Self) -> Self { Self(nanoseconds: left.nanoseconds.saturatingDifference(right.nanoseconds)) }

    @inline(__always)
    package static prefix func - (duration: Self) -> Self { .zero - duration }

    @inline(__always)
    package static func += (left: inout Self, right: Self) { left = left + right }

    @inline(__always)
    package static func -= (left: inout Self, right: Self) { left = left - right }

    @inline(__always)
    package static func * (duration: Self, factor: Int) -> Self { Self(nanoseconds: duration.nanoseconds.saturatingProduct(Int64(factor))) }

    /// - Precondition: the divisor isn't zero.
    @inline(__always)
    package static func / (duration: Self, divisor: Int) -> Self {
        // Only `Int64.min / -1` overflows.
        let (quotient, overflow) = duration.nanoseconds.dividedReportingOverflow(by: Int64(divisor))
        precondition(divisor != 0)
        return overflow ? .max : Self(nanoseconds: quotient)
    }
}

extension Duration {
    package init(_ duration: Instant.Duration) { self = .nanoseconds(duration.nanoseconds) }
}

extension Int64 {
    @inline(__always)
    func saturatingSum(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other > 0 ? .max : .min) : sum
    }

    @inline(__always)
    func saturatingDifference(_ other: Int64) -> Int64 {
        let (difference, overflow) = subtractingReportingOverflow(other)
        return overflow ? (self > other ? .max : .min) : difference
    }

    @inline(__always)
    func saturatingProduct(_ factor: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? ((self < 0) == (factor < 0) ? .max : .min) : product
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct InstantDurationTests {
    typealias Duration = Instant.Duration

    private func duration(_ nanoseconds: Int64) -> Duration { Duration(nanoseconds: nanoseconds) }

    @Test(
        arguments: [
            (0, 5, 5), (.max, 1, .max), (.max - 1, 1, .max), (.max, -1, .max - 1), (.min, -1, .min), (.min + 1, -1, .min),
            (.min, .max, -1), (.max, .max, .max), (.min, .min, .min),
        ] as [(Int64, Int64, Int64)])
    func `a sum saturates`(left: Int64, right: Int64, sum: Int64) {
        #expect(duration(left) + duration(right) == duration(sum))
        #expect(Instant(nanoseconds: left) + duration(right) == Instant(nanoseconds: sum))
        var length = duration(left)
        length += duration(right)
        #expect(length == duration(sum))
        var instant = Instant(nanoseconds: left)
        instant += duration(right)
        #expect(instant == Instant(nanoseconds: sum))
    }

    @Test(
        arguments: [
            (9, 4, 5), (4, 9, -5), (.max, 0, .max), (.max, -1, .max), (.max, 1, .max - 1), (.min, 1, .min), (.min + 1, 1, .min),
            (0, .min, .max), (-1, .min, .max), (-2, .min, .max - 1), (-1, .max, .min), (.min, .min, 0), (.max, .min, .max),
            (.min, .max, .min),
        ] as [(Int64, Int64, Int64)])
    func `a difference saturates and keeps its sign`(left: Int64, right: Int64, difference: Int64) {
        #expect(duration(left) - duration(right) == duration(difference))
        #expect(Instant(nanoseconds: left) - Instant(nanoseconds: right) == duration(difference))
        #expect(Instant(nanoseconds: left) - duration(right) == Instant(nanoseconds: difference))
        var length = duration(left)
        length -= duration(right)
        #expect(length == duration(difference))
    }

    @Test(
        arguments: [
            (3, 4, 12), (3, -4, -12), (.max, 1, .max), (.max, 2, .max), (.max, -2, .min), (.min, 2, .min), (.min, -1, .max), (.min, 0, 0),
            (.max / 2, 2, .max - 1), (.max / 2 + 1, 2, .max), (.min / 2, 2, .min), (.min / 2 - 1, 2, .min),
        ] as [(Int64, Int, Int64)])
    func `a product saturates and keeps its sign`(left: Int64, factor: Int, product: Int64) {
        #expect(duration(left) * factor == duration(product))
    }

    @Test(
        arguments: [(7, 2, 3), (-7, 2, -3), (.max, 1, .max), (.min, 1, .min), (.min, -1, .max), (.min, 2, .min / 2)]
            as [(Int64, Int, Int64)])
    func `a quotient is rounded towards zero and saturates`(left: Int64, divisor: Int, quotient: Int64) {
        #expect(duration(left) / divisor == duration(quotient))
    }

    @Test func `a negated duration saturates`() {
        #expect(-duration(5) == duration(-5))
        #expect(-Duration.max == duration(.min + 1))
        #expect(-duration(.min) == .max)
    }

    @Test func `units are converted to whole nanoseconds, clamped to the bounds`() {
        #expect(Duration.nanoseconds(.min).nanoseconds == .min)
        #expect(Duration.milliseconds(1500).nanoseconds == 1_500_000_000)
        #expect(Duration.milliseconds(9_223_372_036_854).nanoseconds == 9_223_372_036_854_000_000)
        #expect(Duration.milliseconds(9_223_372_036_855) == .max)
        #expect(Duration.seconds(9_223_372_036).nanoseconds == 9_223_372_036_000_000_000)
        #expect(Duration.seconds(9_223_372_037) == .max)
        #expect(Duration.seconds(-9_223_372_037).nanoseconds == .min)
        #expect(duration(1_999_999).milliseconds == 1)
        #expect(duration(-1_999_999).milliseconds == -1)
        #expect(Duration.zero < duration(1) && duration(-1) < .zero)
    }

    @Test func `a duration of the standard library is clamped to the bounds`() {
        #expect(Duration(Swift.Duration.milliseconds(1500)) == .milliseconds(1500))
        #expect(Duration(Swift.Duration.nanoseconds(-3)) == .nanoseconds(-3))
        #expect(Duration(Swift.Duration.seconds(Int64.max)) == .max)
        #expect(Duration(Swift.Duration.seconds(Int64.min)).nanoseconds == .min)
        #expect(Duration(Swift.Duration.nanoseconds(Int64.max)) == .max)
        #expect(Duration(Swift.Duration.nanoseconds(Int64.max - 1)).nanoseconds == .max - 1)
        #expect(Duration(Swift.Duration.nanoseconds(Int64.max) + .nanoseconds(1)) == .max)
        #expect(Duration(Swift.Duration(attoseconds: 1_999_999_999)) == .nanoseconds(1))
        #expect(Swift.Duration(Duration.max) == .nanoseconds(Int64.max))
    }

    @Test func `a deadline after the longest duration is in the distant future`() {
        #expect(Instant(nanoseconds: 5) + .max == .distantFuture)
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
    }
}

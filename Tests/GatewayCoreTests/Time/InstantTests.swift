// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct InstantTests {
    @Test(
        arguments: [
            (0, 5, 5), (.max, 1, .max), (.max - 1, 1, .max), (.min, -1, .min), (.min, .max, -1), (7, .min, .min + 7),
        ] as [(Int64, Int64, Int64)])
    func `advancing saturates`(start: Int64, amount: Int64, end: Int64) {
        #expect(Instant(nanoseconds: start).advanced(byNanoseconds: amount).nanoseconds == end)
    }

    @Test(
        arguments: [
            (9, 4, 5), (4, 9, -5), (.max, 0, .max), (.max, -1, .max), (.min, 1, .min), (-1, .max, .min), (.min, .min, 0),
        ] as [(Int64, Int64, Int64)])
    func `a difference saturates and keeps its sign`(later: Int64, earlier: Int64, difference: Int64) {
        #expect(Instant(nanoseconds: later).nanoseconds(since: Instant(nanoseconds: earlier)) == difference)
    }

    @Test func `durations are clamped to 64 bits of nanoseconds`() {
        #expect(Duration.milliseconds(1500).clampedNanoseconds == 1_500_000_000)
        #expect(Duration.nanoseconds(-3).clampedNanoseconds == -3)
        #expect(Duration.seconds(Int64.max).clampedNanoseconds == .max)
        #expect(Duration.seconds(Int64.min).clampedNanoseconds == .min)
        #expect(Duration.seconds(9_223_372_036).clampedNanoseconds == 9_223_372_036_000_000_000)
        #expect((Duration.seconds(9_223_372_036) + .milliseconds(900)).clampedNanoseconds == .max)
        #expect(Duration.seconds(90).clampedMilliseconds == 90_000)
        #expect(Instant(nanoseconds: 1).advanced(by: .seconds(Int64.max)) == .distantFuture)
    }
}

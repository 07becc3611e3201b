// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct LimiterTests {
    private static let second: Int64 = 1_000_000_000

    private func at(_ nanoseconds: Int64) -> Instant { Instant(nanoseconds: nanoseconds) }

    @Test func `a burst is admitted at once, and the next unit isn't`() {
        let rate = Rate(units: 60, per: .seconds(60), burst: 15)
        var limiter = Limiter()
        for _ in 0..<15 { #expect(limiter.admit(1, at: rate, now: at(0)) == nil) }
        #expect(limiter.admit(1, at: rate, now: at(0))?.nanoseconds == Self.second)
    }

    @Test(arguments: [(60.0, Instant.Duration.seconds(60), 15.0), (7, .seconds(1), 3), (1.5e6, .seconds(1), 5e6), (240, .seconds(60), 60)])
    func `the time to wait is exact to the nanosecond`(units: Double, period: Instant.Duration, burst: Double) throws {
        let rate = Rate(units: units, per: period, burst: burst)
        let piece = max(1, Int64(burst / 3))
        var limiter = Limiter()
        var admitted: Int64 = 0
        let start = at(12_345)
        while limiter.admit(piece, at: rate, now: start) == nil { admitted += piece }
        #expect(admitted <= Int64(burst) && admitted > Int64(burst) - piece)
        let wait = try #require(limiter.wait(for: piece, at: rate, now: start)).nanoseconds
        #expect(limiter.wait(for: piece, at: rate, now: start.advanced(byNanoseconds: wait - 1))?.nanoseconds == 1)
        #expect(limiter.admit(piece, at: rate, now: start.advanced(byNanoseconds: wait)) == nil)
    }

    @Test func `a rejection costs nothing`() {
        let rate = Rate(units: 1, per: .seconds(1), burst: 1)
        var limiter = Limiter()
        #expect(limiter.admit(1, at: rate, now: at(0)) == nil)
        for _ in 0..<100 { #expect(limiter.admit(1, at: rate, now: at(0))?.nanoseconds == Self.second) }
        #expect(limiter.admit(1, at: rate, now: at(Self.second)) == nil)
    }

    @Test func `asking for the time to wait admits nothing`() {
        let rate = Rate(units: 1, per: .seconds(1), burst: 1)
        var limiter = Limiter()
        for _ in 0..<3 { #expect(limiter.wait(for: 1, at: rate, now: at(0)) == nil) }
        #expect(limiter.admit(1, at: rate, now: at(0)) == nil)
        #expect(limiter.wait(for: 1, at: rate, now: at(0))?.nanoseconds == Self.second)
    }

    @Test func `a message over the burst is admitted only when nothing is owed, and paid off in full`() {
        let rate = Rate(units: 1000, per: .seconds(1), burst: 100)
        var limiter = Limiter()
        #expect(limiter.admit(1, at: rate, now: at(0)) == nil)
        #expect(limiter.admit(5000, at: rate, now: at(0))?.nanoseconds == 1_000_000)
        #expect(limiter.admit(5000, at: rate, now: at(999_999))?.nanoseconds == 1)
        #expect(limiter.admit(5000, at: rate, now: at(1_000_000)) == nil)
        // 5000 are owed now; one more is admitted when at most 99 are owed.
        #expect(limiter.admit(1, at: rate, now: at(1_000_000))?.nanoseconds == 4_901_000_000)
        #expect(limiter.admit(5000, at: rate, now: at(1_000_000))?.nanoseconds == 5 * Self.second)
        #expect(limiter.admit(5000, at: rate, now: at(5_001_000_000)) == nil)
    }

    @Test(arguments: [0.0, -1, -.infinity, .nan])
    func `a rate that isn't positive is unlimited`(units: Double) {
        let rate = Rate(units: units, per: .seconds(1), burst: 1)
        #expect(rate.isUnlimited)
        var limiter = Limiter()
        for _ in 0..<1000 { #expect(limiter.admit(.max, at: rate, now: at(0)) == nil) }
        #expect(limiter.remaining(at: rate, now: at(0)) == .max)
    }

    @Test func `at least one unit is admitted at once`() {
        let rate = Rate(units: 2, per: .seconds(60), burst: 0.5)
        var limiter = Limiter()
        #expect(limiter.admit(1, at: rate, now: at(0)) == nil)
        #expect(limiter.admit(1, at: rate, now: at(0))?.nanoseconds == 30 * Self.second)
    }

    @Test func `after a long pause, no more than the burst is admitted`() {
        let rate = Rate(units: 10, per: .seconds(1), burst: 5)
        var limiter = Limiter()
        #expect(limiter.admit(1, at: rate, now: at(0)) == nil)
        let later = at(86_400 * Self.second)
        #expect(limiter.remaining(at: rate, now: later) == 5)
        for _ in 0..<5 { #expect(limiter.admit(1, at: rate, now: later) == nil) }
        #expect(limiter.admit(1, at: rate, now: later)?.nanoseconds == 100_000_000)
    }

    @Test func `exactly the remaining units are admitted`() {
        let rate = Rate(units: 8, per: .seconds(1), burst: 20)
        var limiter = Limiter()
        for (taken, millisecond) in [(3, 0), (9, 10), (1, 400), (12, 2600)] as [(Int64, Int64)] {
            let now = at(millisecond * 1_000_000)
            #expect(limiter.admit(taken, at: rate, now: now) == nil)
            let remaining = limiter.remaining(at: rate, now: now)
            if remaining > 0 { #expect(limiter.wait(for: remaining, at: rate, now: now) == nil) }
            #expect(limiter.wait(for: remaining + 1, at: rate, now: now) != nil)
        }
    }

    @Test func `extreme clock values don't trap`() {
        let rates = [
            Rate(units: 1, per: .seconds(60), burst: 1), Rate(units: 1e9, per: .seconds(1), burst: 1e12),
            Rate(units: 1e-9, per: .seconds(60), burst: 1e9), Rate(units: 1e12, per: .seconds(1), burst: 4e12),
        ]
        let instants = [Int64.min, .min + 1, -1, 0, 1, .max - 1, .max]
        for rate in rates {
            for first in instants {
                for second in instants {
                    var limiter = Limiter()
                    let shared = SharedLimiter()
                    for units in [0, 1, 1_000_000, Int64.max] {
                        _ = limiter.admit(units, at: rate, now: at(first))
                        _ = limiter.admit(units, at: rate, now: at(second))
                        #expect(limiter.remaining(at: rate, now: at(second)) >= 0)
                        #expect(limiter.remaining(at: rate, now: at(first)) >= 0)
                    }
                    _ = shared.admit(at: rate, now: at(first))
                    _ = shared.admit(at: rate, now: at(second))
                    _ = shared.admit(at: rate, now: at(first))
                }
            }
        }
    }

    @Test func `a clock that jumps back extends the wait`() {
        let rate = Rate(units: 1, per: .seconds(1), burst: 1)
        var limiter = Limiter()
        #expect(limiter.admit(1, at: rate, now: at(10 * Self.second)) == nil)
        #expect(limiter.admit(1, at: rate, now: at(0))?.nanoseconds == 11 * Self.second)
    }

    /// A bucket that is filled continuously, in exact integers: `unit` nanoseconds of credit pay one unit.
    private struct Bucket {
        let unit: Int64
        let depth: Int64
        var credit: Int64
        var last: Int64 = 0

        init(unit: Int64, burst: Int64) {
            self.unit = unit
            depth = unit * burst
            credit = depth
        }

        mutating func admit(_ units: Int64, now: Int64) -> Int64? {
            credit = min(depth, credit + (now - last))
            last = now
            let needed = min(units * unit, depth)
            if credit < needed { return needed - credit }
            credit -= units * unit
            return nil
        }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `the limiter behaves like a token bucket`(seed: UInt64) {
        var random = ULIDSource(seed: seed)
        let unit = Int64.random(in: 1...5_000_000, using: &random)
        let burst = Int64.random(in: 1...50, using: &random)
        let rate = Rate(units: 1e9 / Double(unit), per: .seconds(1), burst: Double(burst))
        // The division may be inexact.
        guard rate.nanosecondsPerUnit == Double(unit) else { return }
        var limiter = Limiter()
        var bucket = Bucket(unit: unit, burst: burst)
        var now: Int64 = 0
        for _ in 0..<5000 {
            now += Int64.random(in: 0...3 * unit, using: &random)
            let units = Int64.random(in: 1...burst + 2, using: &random)
            #expect(limiter.admit(units, at: rate, now: at(now))?.nanoseconds == bucket.admit(units, now: now))
        }
    }
}

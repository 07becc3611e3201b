// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct DrainScheduleTests {
    private static func times(_ counts: [Int], total: Instant.Duration) -> [[DrainSchedule.Times]] {
        var generator = SplitMix64(state: 1)
        return DrainSchedule(total: total).times(of: counts, using: &generator)
    }

    /// Returns the largest number of times within one second.
    private static func worstSecond(_ times: [Instant.Duration]) -> Int {
        let sorted = times.sorted()
        var (begin, worst) = (0, 0)
        for (index, time) in sorted.enumerated() {
            while time >= sorted[begin] + .seconds(1) { begin += 1 }
            worst = max(worst, index - begin + 1)
        }
        return worst
    }

    @Test func `one connection gets goaway at once and is closed after the grace period`() {
        #expect(Self.times([1], total: .seconds(2)) == [[.init(goAway: .zero, close: .milliseconds(1200))]])
    }

    @Test func `few connections get goaway 20 ms apart, however long the drain is`() {
        let times = Self.times([10], total: .seconds(30))[0]
        #expect(times.map(\.goAway).sorted() == (0..<10).map { .milliseconds(20 * $0) })
        #expect(times.map(\.close).sorted() == (0..<10).map { .seconds(18) + .milliseconds(20 * $0) })
    }

    @Test(arguments: [(1000, 30), (1000, 2), (100, 2), (50_000, 30)])
    func `many connections are spread evenly over the grace period`(count: Int, seconds: Int) {
        let schedule = DrainSchedule(total: .seconds(Int64(seconds)))
        let times = Self.times([count / 2, count - count / 2], total: schedule.total).flatMap(\.self)
        #expect(times.count == count)
        #expect(times.allSatisfy { $0.goAway >= .zero && $0.goAway < schedule.grace })
        // Remaining connections are closed with time left for the close handshake.
        #expect(times.allSatisfy { $0.close >= schedule.grace && $0.close < schedule.total / 10 * 8 })
        #expect(schedule.end == schedule.total / 10 * 9)
        for all in [times.map(\.goAway), times.map(\.close)] {
            let span = max(.seconds(1), (all.max() ?? .zero) - (all.min() ?? .zero))
            let mean = Double(count) / (Double(span.nanoseconds) / 1e9)
            #expect(Double(Self.worstSecond(all)) < mean * 1.1 + 1)
        }
    }

    @Test func `event loops are interleaved, and each has as many times as connections`() {
        let times = Self.times([300, 0, 700], total: .seconds(30))
        #expect(times.map(\.count) == [300, 0, 700])
        // The smaller event loop's connections aren't first or last as a block.
        let middle = times[0].count { $0.goAway < .seconds(9) }
        #expect((75...225).contains(middle))
    }

    @Test func `no connections, no time and a negative time are allowed`() {
        #expect(Self.times([], total: .seconds(1)) == [])
        #expect(Self.times([0, 0], total: .seconds(1)) == [[], []])
        #expect(Self.times([2], total: .zero)[0] == [.init(goAway: .zero, close: .zero), .init(goAway: .zero, close: .zero)])
        #expect(DrainSchedule(total: .seconds(-1)).grace == .zero)
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Testing

@Suite struct LoopClockTests {
    private static let longest = LoopClock.longestTick

    @Test func `without gaps the clock equals the monotonic clock`() {
        var clock = LoopClock(monotonic: 1000)
        #expect(clock.now(monotonic: 1000).nanoseconds == 1000)
        #expect(clock.now(monotonic: 5000).nanoseconds == 5000)
        #expect(clock.tick(monotonic: 100_001_000) == 0)
        #expect(clock.now(monotonic: 100_001_007).nanoseconds == 100_001_007)
    }

    @Test(arguments: [(0, false), (1, true)] as [(Int64, Bool)])
    func `a gap longer than the longest tick is excluded`(over: Int64, isExcluded: Bool) {
        var clock = LoopClock(monotonic: 0)
        let resumed = Self.longest + over
        #expect(clock.now(monotonic: resumed).nanoseconds == (isExcluded ? 0 : resumed))
        #expect(clock.tick(monotonic: resumed) == (isExcluded ? resumed : 0))
        #expect(clock.now(monotonic: resumed).nanoseconds == (isExcluded ? 0 : resumed))
        #expect(clock.now(monotonic: resumed + 5).nanoseconds == (isExcluded ? 5 : resumed + 5))
    }

    @Test func `several gaps are all excluded`() {
        var clock = LoopClock(monotonic: 0)
        var monotonic: Int64 = 0
        for gap in 1...5 as ClosedRange<Int64> {
            monotonic += gap * 10 * Self.longest
            #expect(clock.tick(monotonic: monotonic) == gap * 10 * Self.longest)
            monotonic += 100
            clock.tick(monotonic: monotonic)
            #expect(clock.now(monotonic: monotonic).nanoseconds == gap * 100)
        }
    }

    @Test func `the clock never goes back`() {
        // Read at the end of an interval that then turns out to be a gap.
        var clock = LoopClock(monotonic: 0)
        let read = clock.now(monotonic: Self.longest)
        #expect(clock.now(monotonic: Self.longest + 1) == read)
        clock.tick(monotonic: Self.longest + 2)
        #expect(clock.now(monotonic: Self.longest + 2) == read)
        clock.tick(monotonic: Self.longest * 2 + 2)
        #expect(clock.now(monotonic: Self.longest * 2 + 2) == read)
        #expect(clock.now(monotonic: Self.longest * 2 + 3).nanoseconds == read.nanoseconds + 1)
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `with random reads and gaps the clock never goes back and never runs ahead of the monotonic clock`(seed: UInt64) {
        var random = ULIDSource(seed: seed)
        var clock = LoopClock(monotonic: 0)
        var monotonic: Int64 = 0
        var last = clock.now(monotonic: 0)
        for _ in 0..<5000 {
            let isStopped = Int.random(in: 0..<50, using: &random) == 0
            let step = Int64.random(in: 0...(isStopped ? 20 : 1) * Self.longest, using: &random)
            monotonic += step
            if Bool.random(using: &random) { clock.tick(monotonic: monotonic) }
            let now = clock.now(monotonic: monotonic)
            #expect(now >= last && now.nanoseconds <= monotonic)
            last = now
        }
    }

    @Test func `the wall clock is in Unix milliseconds`() {
        let before = LoopClock.wallMilliseconds()
        #expect(before > 1_600_000_000_000)
        #expect(LoopClock.monotonicNanoseconds() > 0)
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SharedLimiterTests {
    @Test func `a shared limiter admits the same as the limiter of one session`() {
        var random = ULIDSource(seed: 4)
        let rate = Rate(units: 100, per: .seconds(1), burst: 10)
        var single = Limiter()
        let shared = SharedLimiter()
        var now = Instant(nanoseconds: 0)
        for _ in 0..<10_000 {
            now = now.advanced(byNanoseconds: Int64.random(in: 0...20_000_000, using: &random))
            #expect(shared.admit(at: rate, now: now) == single.admit(1, at: rate, now: now))
        }
    }

    @Test func `the time to wait is exact to the nanosecond`() throws {
        let rate = Rate(units: 3, per: .seconds(1), burst: 2)
        let shared = SharedLimiter()
        let start = Instant(nanoseconds: 5)
        #expect(shared.admit(at: rate, now: start) == nil)
        #expect(shared.admit(at: rate, now: start) == nil)
        let wait = try #require(shared.admit(at: rate, now: start)).nanoseconds
        #expect(shared.admit(at: rate, now: start.advanced(byNanoseconds: wait - 1))?.nanoseconds == 1)
        #expect(shared.admit(at: rate, now: start.advanced(byNanoseconds: wait)) == nil)
    }

    @Test func `an unlimited rate admits everything`() {
        let shared = SharedLimiter()
        for _ in 0..<1000 { #expect(shared.admit(at: .unlimited, now: Instant(nanoseconds: 0)) == nil) }
    }

    @Test func `concurrent callers get no more than the burst`() async {
        let shared = SharedLimiter()
        let rate = Rate(units: 1, per: .seconds(3600), burst: 500)
        let admitted = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<200).count { _ in shared.admit(at: rate, now: Instant(nanoseconds: 0)) == nil } }
            }
            return await group.reduce(0, +)
        }
        #expect(admitted == 500)
    }
}

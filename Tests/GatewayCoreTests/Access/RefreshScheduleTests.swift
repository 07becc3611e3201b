// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

struct RefreshScheduleTests {
    /// A schedule whose methods can be called within expectations.
    private final class Subject {
        var schedule = RefreshSchedule(interval: .seconds(3600), minimumInterval: .seconds(30))

        func beginIfDue(_ now: Instant) -> Bool { schedule.beginIfDue(now: now) }
        func demand(_ now: Instant) -> RefreshSchedule.Demand { schedule.demand(now: now) }
    }

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 0) + .milliseconds(milliseconds) }

    @Test func `the first fetch is due at once, the next one an interval after the end`() {
        let subject = Subject()
        #expect(subject.schedule.due == nil)
        #expect(subject.beginIfDue(at(0)))
        #expect(subject.schedule.isFetching)
        #expect(!subject.beginIfDue(at(0)))
        subject.schedule.end(succeeded: true, now: at(2000), random: 0)
        #expect(subject.schedule.due == at(3_602_000))
        #expect(!subject.beginIfDue(at(3_601_999)))
        #expect(subject.beginIfDue(at(3_602_000)))
    }

    @Test(arguments: [(Int64(29_999), RefreshSchedule.Demand.tooSoon), (30_000, .fetch), (30_001, .fetch)])
    func `a demand begins a fetch when the minimum interval since the last start has passed`(
        _ time: Int64, _ expected: RefreshSchedule.Demand
    ) {
        let subject = Subject()
        subject.schedule.begin(now: at(0))
        subject.schedule.end(succeeded: true, now: at(5000), random: 0)
        #expect(subject.demand(at(time)) == expected)
        #expect(subject.schedule.isFetching == (expected == .fetch))
    }

    @Test func `a demand during a fetch joins it`() {
        let subject = Subject()
        #expect(subject.demand(at(0)) == .fetch)
        #expect(subject.demand(at(40_000)) == .join)
    }

    @Test func `failures are retried after the minimum interval and a delay that grows up to five minutes`() {
        let subject = Subject()
        var now: Int64 = 0
        var waits: [Int64] = []
        for _ in 0..<6 {
            subject.schedule.begin(now: at(now))
            subject.schedule.end(succeeded: false, now: at(now), random: 1)
            let due = subject.schedule.due ?? at(0)
            waits.append((due - at(now)).milliseconds)
            now += waits.last ?? 0
        }
        #expect(waits == [30_000, 60_000, 120_000, 240_000, 300_000, 300_000])
        subject.schedule.begin(now: at(now))
        subject.schedule.end(succeeded: false, now: at(now), random: 0)
        #expect(subject.schedule.due == at(now + 30_000), "never sooner than the minimum interval")
        subject.schedule.begin(now: at(now))
        subject.schedule.end(succeeded: true, now: at(now), random: 1)
        #expect(subject.schedule.due == at(now + 3_600_000))
    }

    @Test func `changed intervals apply to the time since the last fetch`() {
        let subject = Subject()
        subject.schedule.begin(now: at(0))
        subject.schedule.end(succeeded: true, now: at(0), random: 0)
        subject.schedule.set(interval: .seconds(60), minimumInterval: .seconds(1))
        #expect(subject.schedule.due == at(60_000))
        #expect(subject.demand(at(1000)) == .fetch)
    }

    @Test func `an interval shorter than the minimum is extended to it`() {
        let subject = Subject()
        subject.schedule = RefreshSchedule(interval: .seconds(1), minimumInterval: .seconds(30))
        subject.schedule.begin(now: at(0))
        subject.schedule.end(succeeded: true, now: at(0), random: 0)
        #expect(subject.schedule.due == at(30_000))
    }
}

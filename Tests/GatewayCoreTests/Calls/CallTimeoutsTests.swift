// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Call timeouts") struct CallTimeoutsTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    private var policy: CallTimeouts.Policy {
        var policy = CallTimeouts.Policy()
        policy.waiting = .milliseconds(100)
        policy.connect = .milliseconds(200)
        policy.firstByte = .milliseconds(300)
        policy.betweenBytes = .milliseconds(400)
        policy.total = .seconds(1)
        return policy
    }

    @Test(
        arguments: [
            (.waiting, 100), (.connecting, 200), (.awaiting, 300), (.responding, 400),
        ] as [(CallTimeouts.Phase, Int64)])
    func `each phase has its own limit`(phase: CallTimeouts.Phase, limit: Int64) {
        var timeouts = CallTimeouts(policy: policy, at: at(0))
        timeouts.enter(phase, at: at(10))
        #expect(timeouts.overdue(at: at(10 + limit - 1)) == nil)
        #expect(timeouts.overdue(at: at(10 + limit)) == phase)
    }

    @Test func `bytes of the response restart the deadline between bytes, but not the total timeout`() {
        var timeouts = CallTimeouts(policy: policy, at: at(0))
        timeouts.enter(.awaiting, at: at(0))
        for time in stride(from: 100, through: 900, by: 200) as StrideThrough<Int64> { timeouts.receivedBytes(at: at(time)) }
        #expect(timeouts.overdue(at: at(999)) == nil)
        #expect(timeouts.overdue(at: at(1000)) == .responding)
        #expect(timeouts.isOutOfTime(at: at(1000)))
    }

    @Test func `while the client doesn't read or still sends audio, no deadline passes`() {
        var timeouts = CallTimeouts(policy: policy, at: at(0))
        timeouts.enter(.responding, at: at(0))
        timeouts.setPaused(true, at: at(0))
        #expect(timeouts.overdue(at: at(5000)) == nil)
        timeouts.setPaused(false, at: at(500))
        #expect(timeouts.overdue(at: at(899)) == nil)
        #expect(timeouts.overdue(at: at(900)) == .responding)

        // The first byte isn't due either, and the paused time doesn't count toward the total.
        var paused = CallTimeouts(policy: policy, at: at(0))
        paused.enter(.awaiting, at: at(0))
        paused.setPaused(true, at: at(100))
        #expect(paused.overdue(at: at(5000)) == nil)
        paused.receivedBytes(at: at(5000))
        paused.setPaused(true, at: at(6000))
        paused.setPaused(false, at: at(8100))
        paused.receivedBytes(at: at(8400))
        paused.receivedBytes(at: at(8700))
        #expect(paused.overdue(at: at(8999)) == nil)
        #expect(paused.overdue(at: at(9000)) == .responding)

        var sending = CallTimeouts(policy: policy, at: at(0))
        sending.enter(.sending, at: at(0))
        sending.receivedBytes(at: at(100))
        #expect(sending.overdue(at: at(60_000)) == nil)
        sending.enter(.awaiting, at: at(60_000))
        #expect(sending.overdue(at: at(60_299)) == nil)
        #expect(sending.overdue(at: at(60_300)) == .awaiting)
    }

    @Test func `without limits, no deadline passes`() {
        var timeouts = CallTimeouts(policy: .init(), at: at(0))
        for phase in CallTimeouts.Phase.allCases {
            timeouts.enter(phase, at: at(0))
            #expect(timeouts.overdue(at: .distantFuture) == nil)
        }
    }

    @Test func `the timings of consecutive calls add up`() {
        func timing(_ queue: Int64, _ connect: Int64, _ first: Int64, _ total: Int64) -> CallTiming {
            var timing = CallTiming()
            (timing.queue, timing.connect) = (.nanoseconds(queue), .nanoseconds(connect))
            (timing.first, timing.total) = (.nanoseconds(first), .nanoseconds(total))
            return timing
        }
        var sum = CallTiming()
        sum.add(timing(1, 2, 3, 10))
        sum.add(timing(4, 5, 6, 20))
        #expect(sum == timing(5, 7, 3, 30))
    }
}

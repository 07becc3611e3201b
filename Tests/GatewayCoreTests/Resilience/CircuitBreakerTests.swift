// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Circuit breaker") struct CircuitBreakerTests {
    private static let second: Int64 = 1_000_000_000

    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    /// A circuit breaker behind a reference, so that it can be mutated in an expectation.
    private final class Breaker {
        private var value: CircuitBreaker

        init(_ policy: CircuitBreaker.Policy) { value = CircuitBreaker(policy: policy) }

        func state(at now: Instant) -> CircuitBreaker.State { value.state(at: now) }
        func wait(at now: Instant) -> Int64 { value.wait(at: now).nanoseconds }
        func admit(at now: Instant) -> CircuitBreaker.Ticket? { value.admit(at: now) }
        func reset(at now: Instant) -> Bool { value.reset(at: now) }
        func since(at now: Instant) -> Instant? { value.since(at: now) }

        @discardableResult
        func record(_ ticket: CircuitBreaker.Ticket, _ outcome: CircuitBreaker.Outcome, at now: Instant) -> Bool {
            value.record(ticket, outcome, at: now)
        }
    }

    private func breaker(_ change: (inout CircuitBreaker.Policy) -> Void = { _ in }) -> Breaker {
        var policy = CircuitBreaker.Policy()
        change(&policy)
        return Breaker(policy)
    }

    /// Admits one request and records its outcome.
    private func request(_ breaker: Breaker, _ outcome: CircuitBreaker.Outcome, at time: Double) throws {
        let ticket = try #require(breaker.admit(at: at(time)))
        breaker.record(ticket, outcome, at: at(time))
    }

    @Test func `a breaker knows since when it has its state, and becomes half-open without a request`() throws {
        let breaker = breaker {
            $0.failures = 1
            $0.openDuration = .seconds(60)
        }
        #expect(breaker.since(at: at(5)) == nil)
        try request(breaker, .success, at: 5)
        #expect(breaker.since(at: at(6)) == nil)
        try request(breaker, .failure, at: 7)
        #expect(breaker.since(at: at(66.9)) == at(7))
        #expect(breaker.since(at: at(67)) == at(67))
        #expect(breaker.since(at: at(70)) == at(67))
        try request(breaker, .success, at: 80)
        #expect(breaker.since(at: at(90)) == at(80))
        try request(breaker, .failure, at: 91)
        #expect(breaker.reset(at: at(95)))
        #expect(breaker.since(at: at(96)) == at(95))
        #expect(!breaker.reset(at: at(97)))
        #expect(breaker.since(at: at(98)) == at(95))
    }

    @Test func `a new breaker is closed`() {
        let breaker = breaker()
        #expect(breaker.state(at: at(0)) == .closed)
        #expect(breaker.wait(at: at(0)) == 0)
        #expect(breaker.admit(at: at(0))?.isProbe == false)
    }

    @Test func `five failures in a row open the breaker, four don't`() throws {
        let breaker = breaker()
        for _ in 0..<4 { try request(breaker, .failure, at: 1) }
        #expect(breaker.state(at: at(1)) == .closed)
        let ticket = try #require(breaker.admit(at: at(1)))
        #expect(breaker.record(ticket, .failure, at: at(1)))
        #expect(breaker.state(at: at(1)) == .open)
        #expect(breaker.admit(at: at(1)) == nil)
        #expect(breaker.wait(at: at(1)) == 60 * Self.second)
        #expect(breaker.wait(at: at(31)) == 30 * Self.second)
    }

    @Test func `a reset closes an open and a half-open breaker, and doesn't change a closed one`() throws {
        let breaker = breaker { $0.failures = 2 }
        try request(breaker, .failure, at: 0)
        #expect(!breaker.reset(at: at(100)))
        let late = try #require(breaker.admit(at: at(0)))
        try request(breaker, .failure, at: 0)
        #expect(breaker.state(at: at(0)) == .open)
        #expect(breaker.reset(at: at(100)))
        #expect(breaker.state(at: at(0)) == .closed && breaker.wait(at: at(0)) == 0)
        // The outcome of a request from before the reset is ignored, and failures are counted from zero.
        #expect(!breaker.record(late, .failure, at: at(0)))
        try request(breaker, .failure, at: 1)
        #expect(breaker.state(at: at(1)) == .closed)
        try request(breaker, .failure, at: 1)
        let probe = try #require(breaker.admit(at: at(61)))
        #expect(probe.isProbe && breaker.reset(at: at(100)))
        #expect(!breaker.record(probe, .failure, at: at(61)))
        #expect(breaker.state(at: at(61)) == .closed)
        #expect(breaker.admit(at: at(61))?.isProbe == false)
    }

    @Test func `a success resets the count of failures in a row`() throws {
        let breaker = breaker { $0.rate = .infinity }
        for _ in 0..<4 { try request(breaker, .failure, at: 0) }
        try request(breaker, .success, at: 0)
        for _ in 0..<4 { try request(breaker, .failure, at: 0) }
        #expect(breaker.state(at: at(0)) == .closed)
        try request(breaker, .neither, at: 0)
        try request(breaker, .failure, at: 0)
        #expect(breaker.state(at: at(0)) == .open)
    }

    @Test(arguments: [(9, false), (10, true)])
    func `ten failures of twenty requests open the breaker, nine don't`(failures: Int, opens: Bool) throws {
        let breaker = breaker { $0.failures = 1000 }
        for _ in 0..<20 - failures { try request(breaker, .success, at: 1) }
        for _ in 0..<failures { try request(breaker, .failure, at: 1) }
        #expect((breaker.state(at: at(1)) == .open) == opens)
    }

    @Test func `the failure rate doesn't apply below the minimum of requests, nor across windows`() throws {
        let breaker = breaker { $0.failures = 1000 }
        for _ in 0..<19 { try request(breaker, .failure, at: 0) }
        try request(breaker, .failure, at: 10)
        #expect(breaker.state(at: at(10)) == .closed)
    }

    @Test func `an open breaker becomes half-open after its duration, and admits one probe at a time`() throws {
        let breaker = breaker()
        for _ in 0..<5 { try request(breaker, .failure, at: 0) }
        #expect(breaker.admit(at: at(59.999)) == nil)
        #expect(breaker.state(at: at(60)) == .halfOpen)
        let probe = try #require(breaker.admit(at: at(60)))
        #expect(probe.isProbe)
        #expect(breaker.admit(at: at(60)) == nil)
        // A cancelled probe has no result: another is admitted.
        breaker.record(probe, .neither, at: at(61))
        #expect(breaker.admit(at: at(61))?.isProbe == true)
    }

    @Test func `a successful probe closes the breaker`() throws {
        let breaker = breaker()
        for _ in 0..<5 { try request(breaker, .failure, at: 0) }
        try request(breaker, .success, at: 60)
        #expect(breaker.state(at: at(60)) == .closed)
        for _ in 0..<4 { try request(breaker, .failure, at: 61) }
        #expect(breaker.state(at: at(61)) == .closed)
    }

    @Test func `the configured number of successful probes closes the breaker`() throws {
        let breaker = breaker { $0.probes = 2 }
        for _ in 0..<5 { try request(breaker, .failure, at: 0) }
        let first = try #require(breaker.admit(at: at(60)))
        let second = try #require(breaker.admit(at: at(60)))
        #expect(breaker.admit(at: at(60)) == nil)
        #expect(!breaker.record(first, .success, at: at(61)))
        #expect(breaker.state(at: at(61)) == .halfOpen)
        #expect(breaker.record(second, .success, at: at(61)))
        #expect(breaker.state(at: at(61)) == .closed)
    }

    @Test func `a failed probe reopens the breaker`() throws {
        let breaker = breaker()
        for _ in 0..<5 { try request(breaker, .failure, at: 0) }
        try request(breaker, .failure, at: 60)
        #expect(breaker.state(at: at(60)) == .open)
        #expect(breaker.wait(at: at(60)) == 60 * Self.second)
    }

    @Test func `outcomes of requests from before the breaker opened are ignored`() throws {
        let breaker = breaker()
        let slow = try #require(breaker.admit(at: at(0)))
        for _ in 0..<5 { try request(breaker, .failure, at: 0) }
        let probe = try #require(breaker.admit(at: at(60)))
        #expect(!breaker.record(slow, .failure, at: at(60)))
        #expect(breaker.record(probe, .success, at: at(60)))
        #expect(breaker.state(at: at(60)) == .closed)
    }
}

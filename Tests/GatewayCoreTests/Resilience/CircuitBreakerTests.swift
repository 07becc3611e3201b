import GatewayCore
import Testing

@Suite("A circuit breaker") struct CircuitBreakerTests {
    private static let second: Int64 = 1_000_000_000

    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    /// A reference to one, so that it can change within an expectation.
    private final class Breaker {
        private var value: CircuitBreaker

        init(_ policy: CircuitBreaker.Policy) { value = CircuitBreaker(policy: policy) }

        func state(at now: Instant) -> CircuitBreaker.State { value.state(at: now) }
        func wait(at now: Instant) -> Int64 { value.wait(at: now).nanoseconds }
        func admit(at now: Instant) -> CircuitBreaker.Ticket? { value.admit(at: now) }
        func reset() -> Bool { value.reset() }

        @discardableResult
        func settle(_ ticket: CircuitBreaker.Ticket, _ outcome: CircuitBreaker.Outcome, at now: Instant) -> Bool {
            value.settle(ticket, outcome, at: now)
        }
    }

    private func breaker(_ change: (inout CircuitBreaker.Policy) -> Void = { _ in }) -> Breaker {
        var policy = CircuitBreaker.Policy()
        change(&policy)
        return Breaker(policy)
    }

    /// One request from its beginning to its outcome.
    private func request(_ breaker: Breaker, _ outcome: CircuitBreaker.Outcome, at time: Double) throws {
        let ticket = try #require(breaker.admit(at: at(time)))
        breaker.settle(ticket, outcome, at: at(time))
    }

    @Test func `is closed at first`() {
        let breaker = breaker()
        #expect(breaker.state(at: at(0)) == .closed)
        #expect(breaker.wait(at: at(0)) == 0)
        #expect(breaker.admit(at: at(0))?.isProbe == false)
    }

    @Test func `opens with the fifth failure in a row, not with the fourth`() throws {
        let breaker = breaker()
        for _ in 0..<4 { try request(breaker, .failure, at: 1) }
        #expect(breaker.state(at: at(1)) == .closed)
        let ticket = try #require(breaker.admit(at: at(1)))
        #expect(breaker.settle(ticket, .failure, at: at(1)))
        #expect(breaker.state(at: at(1)) == .open)
        #expect(breaker.admit(at: at(1)) == nil)
        #expect(breaker.wait(at: at(1)) == 60 * Self.second)
        #expect(breaker.wait(at: at(31)) == 30 * Self.second)
    }

    @Test func `a reset closes it from open and from half-open, and leaves a closed one as it is`() throws {
        let breaker = breaker { $0.failures = 2 }
        try request(breaker, .failure, at: 0)
        #expect(!breaker.reset())
        let late = try #require(breaker.admit(at: at(0)))
        try request(breaker, .failure, at: 0)
        #expect(breaker.state(at: at(0)) == .open)
        #expect(breaker.reset())
        #expect(breaker.state(at: at(0)) == .closed && breaker.wait(at: at(0)) == 0)
        // The outcome of a request from before the reset is ignored, and failures are counted from zero.
        #expect(!breaker.settle(late, .failure, at: at(0)))
        try request(breaker, .failure, at: 1)
        #expect(breaker.state(at: at(1)) == .closed)
        try request(breaker, .failure, at: 1)
        let probe = try #require(breaker.admit(at: at(61)))
        #expect(probe.isProbe && breaker.reset())
        #expect(!breaker.settle(probe, .failure, at: at(61)))
        #expect(breaker.state(at: at(61)) == .closed)
        #expect(breaker.admit(at: at(61))?.isProbe == false)
    }

    @Test func `a success in between begins the row anew`() throws {
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
    func `opens at half of twenty requests`(failures: Int, opens: Bool) throws {
        let breaker = breaker { $0.failures = 1000 }
        for _ in 0..<20 - failures { try request(breaker, .success, at: 1) }
        for _ in 0..<failures { try request(breaker, .failure, at: 1) }
        #expect((breaker.state(at: at(1)) == .open) == opens)
    }

    @Test func `of fewer requests, or of an older window, the share doesn't count`() throws {
        let breaker = breaker { $0.failures = 1000 }
        for _ in 0..<19 { try request(breaker, .failure, at: 0) }
        try request(breaker, .failure, at: 10)
        #expect(breaker.state(at: at(10)) == .closed)
    }

    @Test func `is half-open when its time is over, and lets one probe pass at a time`() throws {
        let breaker = breaker()
        for _ in 0..<5 { try request(breaker, .failure, at: 0) }
        #expect(breaker.admit(at: at(59.999)) == nil)
        #expect(breaker.state(at: at(60)) == .halfOpen)
        let probe = try #require(breaker.admit(at: at(60)))
        #expect(probe.isProbe)
        #expect(breaker.admit(at: at(60)) == nil)
        // One that was cancelled has told nothing: another may try.
        breaker.settle(probe, .neither, at: at(61))
        #expect(breaker.admit(at: at(61))?.isProbe == true)
    }

    @Test func `recovers with a probe that succeeds`() throws {
        let breaker = breaker()
        for _ in 0..<5 { try request(breaker, .failure, at: 0) }
        try request(breaker, .success, at: 60)
        #expect(breaker.state(at: at(60)) == .closed)
        for _ in 0..<4 { try request(breaker, .failure, at: 61) }
        #expect(breaker.state(at: at(61)) == .closed)
    }

    @Test func `needs as many probes as are configured`() throws {
        let breaker = breaker { $0.probes = 2 }
        for _ in 0..<5 { try request(breaker, .failure, at: 0) }
        let first = try #require(breaker.admit(at: at(60)))
        let second = try #require(breaker.admit(at: at(60)))
        #expect(breaker.admit(at: at(60)) == nil)
        #expect(!breaker.settle(first, .success, at: at(61)))
        #expect(breaker.state(at: at(61)) == .halfOpen)
        #expect(breaker.settle(second, .success, at: at(61)))
        #expect(breaker.state(at: at(61)) == .closed)
    }

    @Test func `opens again with a probe that fails`() throws {
        let breaker = breaker()
        for _ in 0..<5 { try request(breaker, .failure, at: 0) }
        try request(breaker, .failure, at: 60)
        #expect(breaker.state(at: at(60)) == .open)
        #expect(breaker.wait(at: at(60)) == 60 * Self.second)
    }

    @Test func `outcomes of requests from before it opened say nothing of now`() throws {
        let breaker = breaker()
        let slow = try #require(breaker.admit(at: at(0)))
        for _ in 0..<5 { try request(breaker, .failure, at: 0) }
        let probe = try #require(breaker.admit(at: at(60)))
        #expect(!breaker.settle(slow, .failure, at: at(60)))
        #expect(breaker.settle(probe, .success, at: at(60)))
        #expect(breaker.state(at: at(60)) == .closed)
    }
}

import GatewayCore
import Testing

@Suite("A line for slots") struct SlotLineTests {
    /// A reference to one, so that it can change within an expectation.
    private final class Line {
        private var value: SlotLine

        init(limit: Int, longest: Int) { value = SlotLine(limit: limit, longest: longest) }

        var hasRoom: Bool { value.hasRoom }
        var taken: Int { value.taken }
        var waiting: Int { value.waiting }
        func enter(_ ticket: UInt64) -> SlotLine.Entry { value.enter(ticket) }
        func give() -> UInt64? { value.give() }
        func leave(_ ticket: UInt64) -> Bool { value.leave(ticket) }
    }

    @Test func `grants as many as there are, and lets the next wait`() {
        let line = Line(limit: 2, longest: 2)
        #expect(line.enter(1) == .granted)
        #expect(line.enter(2) == .granted)
        #expect(!line.hasRoom)
        #expect(line.enter(3) == .waiting)
        #expect(line.enter(4) == .waiting)
        #expect(line.enter(5) == .full)
        #expect((line.taken, line.waiting) == (2, 2))
        #expect(line.give() == 3)
        #expect(line.give() == 4)
        #expect(line.give() == nil)
        #expect(line.give() == nil)
        #expect((line.taken, line.waiting) == (0, 0))
    }

    @Test func `who has left isn't granted a slot`() {
        let line = Line(limit: 1, longest: 3)
        for ticket in 1...4 as ClosedRange<UInt64> { _ = line.enter(ticket) }
        #expect(line.leave(3))
        #expect(!line.leave(3))
        #expect(line.waiting == 2)
        #expect(line.give() == 2)
        // It has got one in the meantime, and has to give it back.
        #expect(!line.leave(2))
        #expect(line.give() == 4)
        #expect(line.give() == nil)
        #expect(line.enter(5) == .granted)
    }

    @Test func `nobody passes those who wait`() {
        let line = Line(limit: 1, longest: 1)
        _ = line.enter(1)
        _ = line.enter(2)
        #expect(line.enter(3) == .full)
        #expect(line.give() == 2)
        #expect(line.enter(4) == .waiting)
    }

    @Test func `without a line who finds no slot is refused`() {
        let line = Line(limit: 1, longest: 0)
        #expect(line.enter(1) == .granted)
        #expect(line.enter(2) == .full)
    }
}

@Suite("A set of endpoints") struct EndpointSetTests {
    private let now = Instant(nanoseconds: 0)

    /// A reference to one, so that it can change within an expectation.
    private final class Endpoints {
        private var value: EndpointSet

        init(count: Int) { value = EndpointSet(count: count, policy: .init()) }

        var endpoints: [EndpointSet.Endpoint] { value.endpoints }
        func state(at now: Instant) -> UpstreamState { value.state(at: now) }
        func claim(avoiding tried: [Int] = [], at now: Instant) -> EndpointSet.Choice { value.claim(avoiding: tried, at: now) }
        func settle(_ claim: EndpointSet.Claim, _ outcome: CircuitBreaker.Outcome, at now: Instant) {
            value.settle(claim, outcome, at: now)
        }
        func setHealth(of index: Int, _ isHealthy: Bool) -> Bool { value.setHealth(of: index, isHealthy) }
    }

    private func claim(_ set: Endpoints, avoiding tried: [Int] = [], at time: Instant? = nil) throws -> EndpointSet.Claim {
        guard case .claimed(let claim) = set.claim(avoiding: tried, at: time ?? now) else { throw Unavailable() }
        return claim
    }

    private struct Unavailable: Error {}

    private func fail(_ set: Endpoints, _ index: Int) throws {
        for _ in 0..<5 {
            let others = set.endpoints.indices.filter { $0 != index }
            let claim = try claim(set, avoiding: others)
            #expect(claim.index == index)
            set.settle(claim, .failure, at: now)
        }
    }

    @Test func `gives the next request to whoever has the fewest`() throws {
        let set = Endpoints(count: 3)
        let claims = try (0..<3).map { _ in try claim(set) }
        #expect(Set(claims.map(\.index)) == [0, 1, 2])
        set.settle(claims[1], .success, at: now)
        #expect(try claim(set).index == claims[1].index)
        #expect(set.endpoints.map(\.outstanding) == [1, 1, 1])
    }

    @Test func `fails over to another, and comes back to the first when it is the only one`() throws {
        let set = Endpoints(count: 2)
        let first = try claim(set)
        set.settle(first, .failure, at: now)
        #expect(try claim(set, avoiding: [first.index]).index != first.index)
        let single = Endpoints(count: 1)
        #expect(try claim(single, avoiding: [0]).index == 0)
    }

    @Test func `avoids one whose breaker is open or that isn't healthy`() throws {
        let set = Endpoints(count: 2)
        #expect(set.state(at: now) == .ready)
        try fail(set, 0)
        #expect(set.state(at: now) == .degraded)
        for _ in 0..<3 { #expect(try claim(set).index == 1) }
        let other = Endpoints(count: 2)
        #expect(other.setHealth(of: 1, false))
        #expect(!other.setHealth(of: 1, false))
        for _ in 0..<3 { #expect(try claim(other).index == 0) }
        #expect(other.state(at: now) == .degraded)
        // Better than nothing.
        try fail(other, 0)
        #expect(try claim(other).index == 1)
    }

    @Test func `says how long none takes requests`() throws {
        let set = Endpoints(count: 2)
        try fail(set, 0)
        try fail(set, 1)
        #expect(set.state(at: now) == .unavailable)
        #expect(set.claim(at: Instant(nanoseconds: 20_000_000_000)) == .unavailable(wait: 40_000_000_000))
        #expect(try claim(set, at: Instant(nanoseconds: 60_000_000_000)).index == 0)
    }
}

@Suite("Retries") struct RetryTests {
    @Test func `a retry is paid for by requests`() {
        var budget = RetryBudget(share: 0.2)
        for _ in 0..<10 {
            let hasPaid = budget.spend()
            #expect(hasPaid)
        }
        let isEmpty = !budget.spend()
        #expect(isEmpty)
        for _ in 0..<5 { budget.earn() }
        let hasEarned = budget.spend()
        #expect(hasEarned)
        let isEmptyAgain = !budget.spend()
        #expect(isEmptyAgain)
        var none = RetryBudget(share: 0)
        let mayNot = !none.spend()
        #expect(mayNot)
    }

    @Test func `pauses double up to a bound, and are a random share of that`() {
        let backoff = Backoff()
        #expect(backoff.delay(after: 1, random: 1) == 100_000_000)
        #expect(backoff.delay(after: 2, random: 1) == 200_000_000)
        #expect(backoff.delay(after: 5, random: 1) == 1_600_000_000)
        #expect(backoff.delay(after: 6, random: 1) == 2_000_000_000)
        #expect(backoff.delay(after: .max, random: 1) == 2_000_000_000)
        #expect(backoff.delay(after: 3, random: 0.5) == 200_000_000)
        #expect(backoff.delay(after: 3, random: 0) == 0)
    }
}

@Suite("The deadlines of a call") struct CallTimeoutsTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    private var policy: CallTimeouts.Policy {
        var policy = CallTimeouts.Policy()
        policy.waiting = 100_000_000
        policy.connect = 200_000_000
        policy.firstByte = 300_000_000
        policy.betweenBytes = 400_000_000
        policy.total = 1_000_000_000
        return policy
    }

    @Test(
        arguments: [
            (.waiting, 100), (.connecting, 200), (.awaiting, 300), (.answering, 400),
        ] as [(CallTimeouts.Phase, Int64)])
    func `each phase has its own`(phase: CallTimeouts.Phase, limit: Int64) {
        var timeouts = CallTimeouts(policy: policy, at: at(0))
        timeouts.enter(phase, at: at(10))
        #expect(timeouts.overdue(at: at(10 + limit - 1)) == nil)
        #expect(timeouts.overdue(at: at(10 + limit)) == phase)
    }

    @Test func `bytes of the answer begin the last one anew, and the whole has a limit`() {
        var timeouts = CallTimeouts(policy: policy, at: at(0))
        timeouts.enter(.awaiting, at: at(0))
        for time in stride(from: 100, through: 900, by: 200) as StrideThrough<Int64> { timeouts.heard(at: at(time)) }
        #expect(timeouts.overdue(at: at(999)) == nil)
        #expect(timeouts.overdue(at: at(1000)) == .answering)
        #expect(timeouts.isOutOfTime(at: at(1000)))
    }

    @Test func `while the client doesn't read, or still speaks, nothing is due`() {
        var timeouts = CallTimeouts(policy: policy, at: at(0))
        timeouts.enter(.answering, at: at(0))
        timeouts.hold(true, at: at(0))
        #expect(timeouts.overdue(at: at(5000)) == nil)
        timeouts.hold(false, at: at(500))
        #expect(timeouts.overdue(at: at(899)) == nil)
        #expect(timeouts.overdue(at: at(900)) == .answering)

        // Also the first byte isn't, and what comes while it isn't read takes nothing of the time for the whole.
        var held = CallTimeouts(policy: policy, at: at(0))
        held.enter(.awaiting, at: at(0))
        held.hold(true, at: at(100))
        #expect(held.overdue(at: at(5000)) == nil)
        held.heard(at: at(5000))
        held.hold(true, at: at(6000))
        held.hold(false, at: at(8100))
        held.heard(at: at(8400))
        held.heard(at: at(8700))
        #expect(held.overdue(at: at(8999)) == nil)
        #expect(held.overdue(at: at(9000)) == .answering)

        var speaking = CallTimeouts(policy: policy, at: at(0))
        speaking.enter(.sending, at: at(0))
        speaking.heard(at: at(100))
        #expect(speaking.overdue(at: at(60_000)) == nil)
        speaking.enter(.awaiting, at: at(60_000))
        #expect(speaking.overdue(at: at(60_299)) == nil)
        #expect(speaking.overdue(at: at(60_300)) == .awaiting)
    }

    @Test func `without limits nothing is ever due`() {
        var timeouts = CallTimeouts(policy: .init(), at: at(0))
        for phase in CallTimeouts.Phase.allCases {
            timeouts.enter(phase, at: at(0))
            #expect(timeouts.overdue(at: .distantFuture) == nil)
        }
    }

    @Test func `what calls took one after the other adds up`() {
        var timing = CallTiming()
        var first = CallTiming()
        (first.queue, first.connect, first.first, first.total) = (1, 2, 3, 10)
        var second = CallTiming()
        (second.queue, second.connect, second.first, second.total) = (4, 5, 6, 20)
        timing.add(first)
        timing.add(second)
        #expect((timing.queue, timing.connect, timing.first, timing.total) == (5, 7, 3, 30))
    }
}

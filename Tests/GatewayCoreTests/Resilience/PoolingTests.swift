import GatewayCore
import Testing

@Suite("A permit queue") struct PermitQueueTests {
    /// A queue behind a reference, so that it can be mutated in an expectation.
    private final class Queue {
        private var value: PermitQueue

        init(limit: Int, capacity: Int) { value = PermitQueue(limit: limit, capacity: capacity) }

        var isFree: Bool { value.isFree }
        var held: Int { value.held }
        var waiting: Int { value.waiting }
        func acquire(_ ticket: UInt64) -> PermitQueue.Acquisition { value.acquire(ticket) }
        func release() -> UInt64? { value.release() }
        func cancel(_ ticket: UInt64) -> Bool { value.cancel(ticket) }
    }

    @Test func `requests acquire permits up to the limit, then are queued, then are rejected`() {
        let queue = Queue(limit: 2, capacity: 2)
        #expect(queue.acquire(1) == .acquired)
        #expect(queue.acquire(2) == .acquired)
        #expect(!queue.isFree)
        #expect(queue.acquire(3) == .queued)
        #expect(queue.acquire(4) == .queued)
        #expect(queue.acquire(5) == .rejected)
        #expect((queue.held, queue.waiting) == (2, 2))
        #expect(queue.release() == 3)
        #expect(queue.release() == 4)
        #expect(queue.release() == nil)
        #expect(queue.release() == nil)
        #expect((queue.held, queue.waiting) == (0, 0))
    }

    @Test func `a cancelled request isn't granted a permit`() {
        let queue = Queue(limit: 1, capacity: 3)
        for ticket in 1...4 as ClosedRange<UInt64> { _ = queue.acquire(ticket) }
        #expect(queue.cancel(3))
        #expect(!queue.cancel(3))
        #expect(queue.waiting == 2)
        #expect(queue.release() == 2)
        // The permit was granted in the meantime, and has to be released.
        #expect(!queue.cancel(2))
        #expect(queue.release() == 4)
        #expect(queue.release() == nil)
        #expect(queue.acquire(5) == .acquired)
    }

    @Test func `a new request doesn't overtake queued ones`() {
        let queue = Queue(limit: 1, capacity: 1)
        _ = queue.acquire(1)
        _ = queue.acquire(2)
        #expect(queue.acquire(3) == .rejected)
        #expect(queue.release() == 2)
        #expect(queue.acquire(4) == .queued)
    }

    @Test func `without queue capacity, a request is rejected when no permit is free`() {
        let queue = Queue(limit: 1, capacity: 0)
        #expect(queue.acquire(1) == .acquired)
        #expect(queue.acquire(2) == .rejected)
    }
}

@Suite("A load balancer") struct LoadBalancerTests {
    private let now = Instant(nanoseconds: 0)

    /// A load balancer behind a reference, so that it can be mutated in an expectation.
    private final class Endpoints {
        private var value: LoadBalancer

        init(count: Int) { value = LoadBalancer(count: count, policy: .init()) }

        var endpoints: [LoadBalancer.Endpoint] { value.endpoints }
        func state(at now: Instant) -> UpstreamState { value.state(at: now) }
        func pick(excluding tried: [Int] = [], at now: Instant) -> LoadBalancer.Result { value.pick(excluding: tried, at: now) }
        func release(_ pick: LoadBalancer.Pick, _ outcome: CircuitBreaker.Outcome, at now: Instant) {
            value.release(pick, outcome, at: now)
        }
        func setHealth(of index: Int, _ isHealthy: Bool) -> Bool { value.setHealth(of: index, isHealthy) }
    }

    private func pick(_ set: Endpoints, excluding tried: [Int] = [], at time: Instant? = nil) throws -> LoadBalancer.Pick {
        guard case .picked(let pick) = set.pick(excluding: tried, at: time ?? now) else { throw Unavailable() }
        return pick
    }

    private struct Unavailable: Error {}

    private func fail(_ set: Endpoints, _ index: Int) throws {
        for _ in 0..<5 {
            let others = set.endpoints.indices.filter { $0 != index }
            let pick = try pick(set, excluding: others)
            #expect(pick.index == index)
            set.release(pick, .failure, at: now)
        }
    }

    @Test func `the endpoint with the fewest outstanding requests is picked`() throws {
        let set = Endpoints(count: 3)
        let picks = try (0..<3).map { _ in try pick(set) }
        #expect(Set(picks.map(\.index)) == [0, 1, 2])
        set.release(picks[1], .success, at: now)
        #expect(try pick(set).index == picks[1].index)
        #expect(set.endpoints.map(\.outstanding) == [1, 1, 1])
    }

    @Test func `a failed endpoint is excluded, unless it is the only one`() throws {
        let set = Endpoints(count: 2)
        let first = try pick(set)
        set.release(first, .failure, at: now)
        #expect(try pick(set, excluding: [first.index]).index != first.index)
        let single = Endpoints(count: 1)
        #expect(try pick(single, excluding: [0]).index == 0)
    }

    @Test func `an endpoint that is unhealthy or whose breaker is open is avoided`() throws {
        let set = Endpoints(count: 2)
        #expect(set.state(at: now) == .ready)
        try fail(set, 0)
        #expect(set.state(at: now) == .degraded)
        for _ in 0..<3 { #expect(try pick(set).index == 1) }
        let other = Endpoints(count: 2)
        #expect(other.setHealth(of: 1, false))
        #expect(!other.setHealth(of: 1, false))
        for _ in 0..<3 { #expect(try pick(other).index == 0) }
        #expect(other.state(at: now) == .degraded)
        // An unhealthy endpoint is picked if no other is left.
        try fail(other, 0)
        #expect(try pick(other).index == 1)
    }

    @Test func `when all breakers are open, the wait until the first half-opens is returned`() throws {
        let set = Endpoints(count: 2)
        try fail(set, 0)
        try fail(set, 1)
        #expect(set.state(at: now) == .unavailable)
        #expect(set.pick(at: Instant(nanoseconds: 20_000_000_000)) == .unavailable(wait: .seconds(40)))
        #expect(try pick(set, at: Instant(nanoseconds: 60_000_000_000)).index == 0)
    }
}

@Suite("Retries") struct RetryTests {
    @Test func `retries are limited to a share of the requests`() {
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

    @Test func `delays double up to a limit, with full jitter`() {
        let backoff = Backoff()
        #expect(backoff.delay(after: 1, random: 1) == .milliseconds(100))
        #expect(backoff.delay(after: 2, random: 1) == .milliseconds(200))
        #expect(backoff.delay(after: 5, random: 1) == .milliseconds(1600))
        #expect(backoff.delay(after: 6, random: 1) == .milliseconds(2000))
        #expect(backoff.delay(after: .max, random: 1) == .milliseconds(2000))
        #expect(backoff.delay(after: 3, random: 0.5) == .milliseconds(200))
        #expect(backoff.delay(after: 3, random: 0) == .zero)
    }
}

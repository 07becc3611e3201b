// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Load balancer") struct LoadBalancerTests {
    private let now = Instant(nanoseconds: 0)

    /// A load balancer behind a reference, so that it can be mutated in an expectation.
    private final class Balancer {
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

    private func pick(_ balancer: Balancer, excluding tried: [Int] = [], at time: Instant? = nil) throws -> LoadBalancer.Pick {
        guard case .picked(let pick) = balancer.pick(excluding: tried, at: time ?? now) else { throw Unavailable() }
        return pick
    }

    private struct Unavailable: Error {}

    private func fail(_ balancer: Balancer, _ index: Int) throws {
        for _ in 0..<5 {
            let others = balancer.endpoints.indices.filter { $0 != index }
            let pick = try pick(balancer, excluding: others)
            #expect(pick.index == index)
            balancer.release(pick, .failure, at: now)
        }
    }

    @Test func `the endpoint with the fewest outstanding requests is picked`() throws {
        let balancer = Balancer(count: 3)
        let picks = try (0..<3).map { _ in try pick(balancer) }
        #expect(Set(picks.map(\.index)) == [0, 1, 2])
        balancer.release(picks[1], .success, at: now)
        #expect(try pick(balancer).index == picks[1].index)
        #expect(balancer.endpoints.map(\.outstanding) == [1, 1, 1])
    }

    @Test func `a failed endpoint is excluded, unless it is the only one`() throws {
        let balancer = Balancer(count: 2)
        let first = try pick(balancer)
        balancer.release(first, .failure, at: now)
        #expect(try pick(balancer, excluding: [first.index]).index != first.index)
        let single = Balancer(count: 1)
        #expect(try pick(single, excluding: [0]).index == 0)
    }

    @Test func `an endpoint that is unhealthy or whose breaker is open is avoided`() throws {
        let balancer = Balancer(count: 2)
        #expect(balancer.state(at: now) == .ready)
        try fail(balancer, 0)
        #expect(balancer.state(at: now) == .degraded)
        for _ in 0..<3 { #expect(try pick(balancer).index == 1) }
        let other = Balancer(count: 2)
        #expect(other.setHealth(of: 1, false))
        #expect(!other.setHealth(of: 1, false))
        for _ in 0..<3 { #expect(try pick(other).index == 0) }
        #expect(other.state(at: now) == .degraded)
        // An unhealthy endpoint is picked if no other is left.
        try fail(other, 0)
        #expect(try pick(other).index == 1)
    }

    @Test func `when all breakers are open, the wait until the first half-opens is returned`() throws {
        let balancer = Balancer(count: 2)
        try fail(balancer, 0)
        try fail(balancer, 1)
        #expect(balancer.state(at: now) == .unavailable)
        #expect(balancer.pick(at: Instant(nanoseconds: 20_000_000_000)) == .unavailable(wait: .seconds(40)))
        #expect(try pick(balancer, at: Instant(nanoseconds: 60_000_000_000)).index == 0)
    }
}

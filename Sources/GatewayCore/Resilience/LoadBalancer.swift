// SPDX-License-Identifier: Apache-2.0

/// A least-requests load balancer for the endpoints of one upstream, each with its circuit breaker.
package struct LoadBalancer: Sendable {
    package struct Endpoint: Sendable {
        package fileprivate(set) var breaker: CircuitBreaker
        package fileprivate(set) var outstanding = 0
        /// The result of the last health check.
        package var isHealthy = true
        package fileprivate(set) var requests: UInt64 = 0
        package fileprivate(set) var failures: UInt64 = 0
    }

    /// An endpoint picked for one attempt, to be returned with ``LoadBalancer/release(_:_:at:)``.
    package struct Pick: Sendable, Hashable {
        package let index: Int
        fileprivate let ticket: CircuitBreaker.Ticket
    }

    package enum Result: Sendable, Hashable {
        case picked(Pick)
        /// No endpoint admits a request until this time has elapsed.
        case unavailable(wait: Instant.Duration)
    }

    package private(set) var endpoints: [Endpoint]
    /// The index where the next search starts. Endpoints with equally many outstanding requests are thus picked round-robin.
    private var next = 0

    package init(count: Int, policy: CircuitBreaker.Policy) {
        endpoints = Array(repeating: Endpoint(breaker: CircuitBreaker(policy: policy)), count: count)
    }

    /// Picks the endpoint with the fewest outstanding requests among the healthy endpoints whose breaker admits a request. An unhealthy
    /// endpoint is picked only if no healthy one is left.
    ///
    /// - Parameter tried: indices of endpoints that this request has tried; picked again only if no other is left
    package mutating func pick(excluding tried: [Int] = [], at now: Instant) -> Result {
        var best: (index: Int, rank: (Int, Int))?
        for offset in endpoints.indices {
            let index = (next + offset) % endpoints.count
            guard endpoints[index].breaker.admits(at: now) else { continue }
            let rank = ((tried.contains(index) ? 2 : 0) + (endpoints[index].isHealthy ? 0 : 1), endpoints[index].outstanding)
            if best.map({ rank < $0.rank }) ?? true { best = (index, rank) }
        }
        guard let index = best?.index, let ticket = endpoints[index].breaker.admit(at: now) else {
            return .unavailable(wait: wait(at: now))
        }
        next = (index + 1) % endpoints.count
        endpoints[index].outstanding += 1
        endpoints[index].requests &+= 1
        return .picked(Pick(index: index, ticket: ticket))
    }

    /// Returns the time until an endpoint may admit requests; zero when one may admit them now.
    package func wait(at now: Instant) -> Instant.Duration {
        var shortest: Instant.Duration?
        for endpoint in endpoints {
            let wait = endpoint.breaker.wait(at: now)
            shortest = min(shortest ?? wait, wait)
        }
        return shortest ?? .zero
    }

    /// Releases a pick and records the outcome.
    ///
    /// - Returns: the new state of the endpoint's breaker; nil when unchanged
    @discardableResult
    package mutating func release(_ pick: Pick, _ outcome: CircuitBreaker.Outcome, at now: Instant) -> CircuitBreaker.State? {
        guard endpoints.indices.contains(pick.index) else { return nil }
        endpoints[pick.index].outstanding -= 1
        if outcome == .failure { endpoints[pick.index].failures &+= 1 }
        let hasChanged = endpoints[pick.index].breaker.record(pick.ticket, outcome, at: now)
        return hasChanged ? endpoints[pick.index].breaker.state(at: now) : nil
    }

    /// Records the result of a health check.
    ///
    /// - Returns: whether the value has changed
    package mutating func setHealth(of index: Int, _ isHealthy: Bool) -> Bool {
        guard endpoints.indices.contains(index), endpoints[index].isHealthy != isHealthy else { return false }
        endpoints[index].isHealthy = isHealthy
        return true
    }

    /// Closes the breaker of an endpoint.
    ///
    /// - Returns: whether the breaker was open or half-open
    package mutating func resetBreaker(of index: Int, at now: Instant) -> Bool {
        endpoints.indices.contains(index) && endpoints[index].breaker.reset(at: now)
    }

    package func state(at now: Instant) -> UpstreamState {
        let readyCount = endpoints.count { $0.breaker.state(at: now) == .closed && $0.isHealthy }
        if readyCount == endpoints.count { return .ready }
        return endpoints.contains { $0.breaker.state(at: now) != .open } ? .degraded : .unavailable
    }
}

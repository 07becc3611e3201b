/// The endpoints of one upstream: each with its breaker, and the next request goes where the fewest are outstanding.
package struct EndpointSet: Sendable {
    package struct Endpoint: Sendable {
        package fileprivate(set) var breaker: CircuitBreaker
        package fileprivate(set) var outstanding = 0
        /// As the last health check found it.
        package var isHealthy = true
        package fileprivate(set) var requests: UInt64 = 0
        package fileprivate(set) var failures: UInt64 = 0
    }

    /// A request's claim on an endpoint, to be given back with ``settle(_:_:at:)``.
    package struct Claim: Sendable, Hashable {
        package let index: Int
        fileprivate let ticket: CircuitBreaker.Ticket
    }

    package enum Choice: Sendable, Hashable {
        case claimed(Claim)
        /// No endpoint takes a request. Nanoseconds until the first of them may.
        case unavailable(wait: Int64)
    }

    package private(set) var endpoints: [Endpoint]
    /// Where the search begins: those with equally many outstanding take turns.
    private var next = 0

    package init(count: Int, policy: CircuitBreaker.Policy) {
        endpoints = Array(repeating: Endpoint(breaker: CircuitBreaker(policy: policy)), count: count)
    }

    /// Chooses the endpoint with the fewest requests outstanding among those that are healthy and whose breaker lets one pass; one that isn't
    /// healthy when there is no other.
    ///
    /// - Parameter tried: indices of those that have failed this request: asked again only when there is no other
    package mutating func claim(avoiding tried: [Int] = [], at now: Instant) -> Choice {
        var best: (index: Int, rank: (Int, Int))?
        for offset in endpoints.indices {
            let index = (next + offset) % endpoints.count
            let endpoint = endpoints[index]
            guard endpoint.breaker.wait(at: now) == 0, passes(endpoint, at: now) else { continue }
            let rank = ((tried.contains(index) ? 2 : 0) + (endpoint.isHealthy ? 0 : 1), endpoint.outstanding)
            if best.map({ rank < $0.rank }) ?? true { best = (index, rank) }
        }
        guard let index = best?.index, let ticket = endpoints[index].breaker.admit(at: now) else {
            return .unavailable(wait: endpoints.map { $0.breaker.wait(at: now) }.min() ?? 0)
        }
        next = (index + 1) % endpoints.count
        endpoints[index].outstanding += 1
        endpoints[index].requests &+= 1
        return .claimed(Claim(index: index, ticket: ticket))
    }

    private func passes(_ endpoint: Endpoint, at now: Instant) -> Bool {
        var breaker = endpoint.breaker
        return breaker.admit(at: now) != nil
    }

    /// - Returns: the state of its breaker, where that has changed.
    @discardableResult
    package mutating func settle(_ claim: Claim, _ outcome: CircuitBreaker.Outcome, at now: Instant) -> CircuitBreaker.State? {
        guard endpoints.indices.contains(claim.index) else { return nil }
        endpoints[claim.index].outstanding -= 1
        if outcome == .failure { endpoints[claim.index].failures &+= 1 }
        let hasChanged = endpoints[claim.index].breaker.settle(claim.ticket, outcome, at: now)
        return hasChanged ? endpoints[claim.index].breaker.state(at: now) : nil
    }

    /// - Returns: whether that is news.
    package mutating func setHealth(of index: Int, _ isHealthy: Bool) -> Bool {
        guard endpoints.indices.contains(index), endpoints[index].isHealthy != isHealthy else { return false }
        endpoints[index].isHealthy = isHealthy
        return true
    }

    /// Closes the breaker of an endpoint.
    ///
    /// - Returns: whether it wasn't closed.
    package mutating func resetBreaker(of index: Int) -> Bool {
        endpoints.indices.contains(index) && endpoints[index].breaker.reset()
    }

    package func state(at now: Instant) -> UpstreamState {
        let working = endpoints.count { $0.breaker.state(at: now) == .closed && $0.isHealthy }
        if working == endpoints.count { return .ready }
        return endpoints.contains { $0.breaker.state(at: now) != .open } ? .degraded : .unavailable
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A circuit breaker that keeps requests away from a failing endpoint and probes whether the endpoint has recovered.
///
/// A closed breaker admits all requests. The breaker opens after ``Policy/failures`` failures in a row, or when a share of
/// ``Policy/rate`` of at least ``Policy/minimum`` requests within ``Policy/window`` has failed. An open breaker rejects all requests for
/// ``Policy/openDuration``. Then the breaker is half-open and admits ``Policy/probes`` requests at a time: the same number of successes
/// closes the breaker, one failure reopens it.
package struct CircuitBreaker: Sendable {
    package struct Policy: Sendable, Hashable {
        /// The number of failures in a row that opens the breaker.
        package var failures = 5
        /// The share of failures within the window that opens the breaker: greater than 0, at most 1.
        package var rate = 0.5
        /// The minimum number of requests within the window for ``rate`` to apply.
        package var minimum = 20
        package var window = Instant.Duration.seconds(10)
        package var openDuration = Instant.Duration.seconds(60)
        /// The number of concurrent requests admitted while half-open, and of successes that closes the breaker.
        package var probes = 1

        package init() {}
    }

    package enum State: String, Sendable, CaseIterable {
        case closed, open
        case halfOpen = "half_open"
    }

    /// The admission of one request. Identifies the phase that admitted the request, so that later phases ignore its outcome.
    package struct Ticket: Sendable, Hashable {
        fileprivate var generation: UInt64
        package fileprivate(set) var isProbe: Bool
    }

    package enum Outcome: Sendable, Hashable {
        case success
        case failure
        /// The request was cancelled, or failed for a reason unrelated to the endpoint.
        case neither
    }

    private enum Phase: Sendable {
        case closed(consecutiveFailures: Int)
        case open(until: Instant)
        case halfOpen(probing: Int, successes: Int)
    }

    package let policy: Policy
    private var phase = Phase.closed(consecutiveFailures: 0)
    /// Incremented with each change of phase; outcomes of requests from earlier phases are ignored.
    private var generation: UInt64 = 0
    private var windowStart = Instant(nanoseconds: 0)
    private var windowRequests = 0
    private var windowFailures = 0
    /// The time of the last change of state; nil before the first.
    private var changedAt: Instant?

    package init(policy: Policy) { self.policy = policy }

    package func state(at now: Instant) -> State {
        switch phase {
        case .closed: .closed
        case .open(let until): now >= until ? .halfOpen : .open
        case .halfOpen: .halfOpen
        }
    }

    /// Returns the time at which the breaker entered the state that it has at `now`; nil if the state has never changed.
    package func since(at now: Instant) -> Instant? {
        if case .open(let until) = phase, now >= until { return until }
        return changedAt
    }

    /// Returns the time until requests may be admitted; zero when closed or half-open.
    package func wait(at now: Instant) -> Instant.Duration {
        guard case .open(let until) = phase else { return .zero }
        return max(.zero, until - now)
    }

    /// Returns whether ``admit(at:)`` would admit a request.
    package func admits(at now: Instant) -> Bool {
        switch phase {
        case .closed: true
        case .open(let until): now >= until && policy.probes > 0
        case .halfOpen(let probing, _): probing < policy.probes
        }
    }

    /// Admits a request. Returns nil while the breaker is open, and while all probes are outstanding.
    package mutating func admit(at now: Instant) -> Ticket? {
        if case .open(let until) = phase, now >= until { enter(.halfOpen(probing: 0, successes: 0), at: until) }
        switch phase {
        case .closed: return Ticket(generation: generation, isProbe: false)
        case .open: return nil
        case .halfOpen(let probing, let successes):
            guard probing < policy.probes else { return nil }
            phase = .halfOpen(probing: probing + 1, successes: successes)
            return Ticket(generation: generation, isProbe: true)
        }
    }

    /// Records the outcome of an admitted request. Called once for each ticket.
    ///
    /// - Returns: whether the state has changed
    @discardableResult
    package mutating func record(_ ticket: Ticket, _ outcome: Outcome, at now: Instant) -> Bool {
        guard ticket.generation == generation else { return false }
        switch (phase, outcome) {
        case (.closed, .neither), (.open, _): return false
        case (.closed, .success):
            count(failed: false, at: now)
            phase = .closed(consecutiveFailures: 0)
            return false
        case (.closed(let consecutiveFailures), .failure):
            count(failed: true, at: now)
            phase = .closed(consecutiveFailures: consecutiveFailures + 1)
            guard consecutiveFailures + 1 >= policy.failures || isOverRate else { return false }
            open(at: now)
            return true
        case (.halfOpen(let probing, let successes), .neither):
            phase = .halfOpen(probing: probing - 1, successes: successes)
            return false
        case (.halfOpen(let probing, let successes), .success):
            guard successes + 1 >= policy.probes else {
                phase = .halfOpen(probing: probing - 1, successes: successes + 1)
                return false
            }
            close(at: now)
            return true
        case (.halfOpen, .failure):
            open(at: now)
            return true
        }
    }

    /// Closes the breaker, and clears the counts of failures.
    ///
    /// - Returns: whether the state has changed
    package mutating func reset(at now: Instant) -> Bool {
        if case .closed = phase { return false }
        close(at: now)
        return true
    }

    private mutating func close(at now: Instant) {
        enter(.closed(consecutiveFailures: 0), at: now)
        (windowRequests, windowFailures) = (0, 0)
    }

    private mutating func open(at now: Instant) { enter(.open(until: now + policy.openDuration), at: now) }

    private mutating func enter(_ next: Phase, at now: Instant) {
        phase = next
        changedAt = now
        generation &+= 1
    }

    private mutating func count(failed: Bool, at now: Instant) {
        if now - windowStart >= policy.window {
            windowStart = now
            (windowRequests, windowFailures) = (0, 0)
        }
        windowRequests += 1
        if failed { windowFailures += 1 }
    }

    private var isOverRate: Bool {
        windowRequests >= policy.minimum && Double(windowFailures) >= policy.rate * Double(windowRequests)
    }
}

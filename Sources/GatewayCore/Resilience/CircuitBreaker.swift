/// Keeps requests away from an endpoint that fails, and finds out when it works again.
///
/// Closed, everything passes. After ``Policy/failures`` failures in a row, or when ``Policy/rate`` of at least ``Policy/minimum`` requests
/// within ``Policy/window`` have failed, it opens: nothing passes for ``Policy/openDuration``. Then it is half-open: ``Policy/probes`` requests at a
/// time pass as probes, and as many successes close it, one failure opens it again.
package struct CircuitBreaker: Sendable {
    package struct Policy: Sendable, Hashable {
        /// Failures in a row that open it.
        package var failures = 5
        /// The share of failures within the window that opens it, above 0 to 1.
        package var rate = 0.5
        /// Requests within the window before the share counts.
        package var minimum = 20
        package var window = Instant.Duration.seconds(10)
        package var openDuration = Instant.Duration.seconds(60)
        /// Requests that pass at a time while it is half-open, and successes that close it.
        package var probes = 1

        package init() {}
    }

    package enum State: String, Sendable, CaseIterable {
        case closed, open
        case halfOpen = "half_open"
    }

    /// Lets one request pass, and says later which era its outcome belongs to.
    package struct Ticket: Sendable, Hashable {
        fileprivate var era: UInt64
        package fileprivate(set) var isProbe: Bool
    }

    package enum Outcome: Sendable, Hashable {
        case success
        case failure
        /// It was cancelled, or failed for a reason that says nothing of the endpoint.
        case neither
    }

    private enum Phase: Sendable {
        case closed(inARow: Int)
        case open(until: Instant)
        case halfOpen(probing: Int, successes: Int)
    }

    package let policy: Policy
    private var phase = Phase.closed(inARow: 0)
    /// Goes up with each change of phase: outcomes of requests from before it say nothing of now.
    private var era: UInt64 = 0
    private var windowStart = Instant(nanoseconds: 0)
    private var windowRequests = 0
    private var windowFailures = 0

    package init(policy: Policy) { self.policy = policy }

    package func state(at now: Instant) -> State {
        switch phase {
        case .closed: .closed
        case .open(let until): now >= until ? .halfOpen : .open
        case .halfOpen: .halfOpen
        }
    }

    /// The time until a request can pass again: zero when one can, or a probe is about to tell.
    package func wait(at now: Instant) -> Instant.Duration {
        guard case .open(let until) = phase else { return .zero }
        return max(.zero, until - now)
    }

    /// Whether ``admit(at:)`` would let a request pass.
    package func admits(at now: Instant) -> Bool {
        switch phase {
        case .closed: true
        case .open(let until): now >= until && policy.probes > 0
        case .halfOpen(let probing, _): probing < policy.probes
        }
    }

    /// Lets a request pass; nil while it is open, and while all probes are under way.
    package mutating func admit(at now: Instant) -> Ticket? {
        if case .open(let until) = phase, now >= until { enter(.halfOpen(probing: 0, successes: 0)) }
        switch phase {
        case .closed: return Ticket(era: era, isProbe: false)
        case .open: return nil
        case .halfOpen(let probing, let successes):
            guard probing < policy.probes else { return nil }
            phase = .halfOpen(probing: probing + 1, successes: successes)
            return Ticket(era: era, isProbe: true)
        }
    }

    /// To be called once for each ticket.
    ///
    /// - Returns: whether its phase has changed.
    @discardableResult
    package mutating func settle(_ ticket: Ticket, _ outcome: Outcome, at now: Instant) -> Bool {
        guard ticket.era == era else { return false }
        switch (phase, outcome) {
        case (.closed, .neither), (.open, _): return false
        case (.closed, .success):
            count(failed: false, at: now)
            phase = .closed(inARow: 0)
            return false
        case (.closed(let inARow), .failure):
            count(failed: true, at: now)
            phase = .closed(inARow: inARow + 1)
            guard inARow + 1 >= policy.failures || isOverRate else { return false }
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
            close()
            return true
        case (.halfOpen, .failure):
            open(at: now)
            return true
        }
    }

    /// Closes it, where it isn't closed: whatever has failed before says nothing of now.
    ///
    /// - Returns: whether its phase has changed.
    package mutating func reset() -> Bool {
        if case .closed = phase { return false }
        close()
        return true
    }

    private mutating func close() {
        enter(.closed(inARow: 0))
        (windowRequests, windowFailures) = (0, 0)
    }

    private mutating func open(at now: Instant) { enter(.open(until: now + policy.openDuration)) }

    private mutating func enter(_ next: Phase) {
        phase = next
        era &+= 1
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

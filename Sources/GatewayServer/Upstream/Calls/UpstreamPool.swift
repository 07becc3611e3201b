// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import Logging
import NIOCore
import Synchronization

/// The state of one upstream that all event loops share: permits, endpoints with their circuit breakers, the retry budget, and counters.
///
/// The pool's lock is the only one on the request path. It is acquired twice per request, for a few dozen nanoseconds each time.
package final class UpstreamPool: Sendable {
    package struct Policy: Sendable, Hashable {
        /// Maximum number of concurrent requests.
        package var permits = Int.max
        /// Maximum number of requests that wait for a permit.
        package var queue = 0
        package var breaker = CircuitBreaker.Policy()
        package var retryShare = 0.0

        package init() {}
    }

    package struct Counts: Sendable, Hashable {
        package var completed: UInt64 = 0
        package var failed: UInt64 = 0
        package var cancelled: UInt64 = 0
        package var retries: UInt64 = 0
        package var hedges: UInt64 = 0
        package var shared: UInt64 = 0
        package var connections = 0

        package init() {}
    }

    private struct State {
        var permits: PermitQueue
        var endpoints: LoadBalancer
        var budget: RetryBudget
        var counts = Counts()
        var metrics = UpstreamMetrics()
        var lastTicket: UInt64 = 0
        var waiters: [UInt64: @Sendable () -> Void] = [:]
        var throttle = LogThrottle<LogTopic>(lines: 10, per: .seconds(1))

        /// Releases a permit.
        ///
        /// - Returns: the closure that grants the permit to the next queued request; nil when the queue is empty
        mutating func release() -> (@Sendable () -> Void)? { permits.release().flatMap { waiters.removeValue(forKey: $0) } }
    }

    /// The system's monotonic clock, the same on all event loops.
    package static let monotonic: @Sendable () -> Instant = {
        Instant(nanoseconds: Int64(truncatingIfNeeded: NIODeadline.now().uptimeNanoseconds))
    }

    package let name: String
    package let addresses: [String]
    /// The request path of each endpoint, without the query, which may contain secrets. Empty for upstreams without paths.
    private let paths: [String]
    /// The time of creation.
    private let created: Instant
    private let state: Mutex<State>
    private let clock: @Sendable () -> Instant
    private let logger: Logger

    /// - Parameter clock: the same for all event loops
    package init(
        name: String, addresses: [String], paths: [String] = [], policy: Policy, logger: Logger, clock: @escaping @Sendable () -> Instant
    ) {
        self.name = name
        self.addresses = addresses
        self.paths = paths
        self.clock = clock
        self.logger = logger
        created = clock()
        state = Mutex(
            State(
                permits: PermitQueue(limit: policy.permits, capacity: policy.queue),
                endpoints: LoadBalancer(count: addresses.count, policy: policy.breaker), budget: RetryBudget(share: policy.retryShare)))
    }

    package enum Acquisition {
        case acquired
        /// The ticket that identifies the request in the queue.
        case queued(UInt64)
        /// The queue is full.
        case rejected
    }

    // MARK: Permits

    /// Acquires a permit and an endpoint in one step, the common case.
    ///
    /// - Returns: nil when no permit is free or no endpoint is available; the caller then acquires the permit and the endpoint separately
    package func acquire() -> LoadBalancer.Pick? {
        let now = clock()
        return state.withLock { state in
            guard state.permits.hasFreePermit, case .picked(let pick) = state.endpoints.pick(at: now) else { return nil }
            state.lastTicket &+= 1
            _ = state.permits.acquire(state.lastTicket)
            state.budget.earn()
            return pick
        }
    }

    /// Releases the endpoint and the permit of a completed response.
    package func complete(_ pick: LoadBalancer.Pick, _ timing: CallTiming = CallTiming()) {
        let now = clock()
        let (change, granted) = state.withLock { state in
            state.counts.completed &+= 1
            state.metrics.countCompleted(timing)
            return (state.endpoints.release(pick, .success, at: now), state.release())
        }
        log(change, of: pick)
        granted?()
    }

    /// Acquires a permit, or queues for one.
    ///
    /// - Parameter granted: called from any thread when a queued request is granted its permit
    package func enqueue(granted: @escaping @Sendable () -> Void) -> Acquisition {
        state.withLock { state in
            state.lastTicket &+= 1
            state.budget.earn()
            switch state.permits.acquire(state.lastTicket) {
            case .acquired: return .acquired
            case .rejected: return .rejected
            case .queued:
                state.waiters[state.lastTicket] = granted
                return .queued(state.lastTicket)
            }
        }
    }

    /// Removes a request from the queue.
    ///
    /// - Returns: false when the permit was already granted; `granted` is still called, and the permit has to be released
    package func cancel(_ ticket: UInt64) -> Bool {
        state.withLock { state in
            guard state.permits.cancel(ticket) else { return false }
            state.waiters[ticket] = nil
            return true
        }
    }

    package func release() {
        let granted = state.withLock { $0.release() }
        granted?()
    }

    // MARK: Endpoints

    package func pick(excluding tried: [Int]) -> LoadBalancer.Result {
        let now = clock()
        return state.withLock { $0.endpoints.pick(excluding: tried, at: now) }
    }

    /// Picks an endpoint for a hedge and charges the retry budget.
    ///
    /// - Returns: nil when there is no endpoint besides `tried`, or the budget is exhausted
    package func pickHedge(excluding tried: [Int]) -> LoadBalancer.Pick? {
        let now = clock()
        guard addresses.count > 1 else { return nil }
        return state.withLock { state in
            guard case .picked(let pick) = state.endpoints.pick(excluding: tried, at: now) else { return nil }
            guard !tried.contains(pick.index), state.budget.spend() else {
                _ = state.endpoints.release(pick, .neither, at: now)
                return nil
            }
            state.counts.retries &+= 1
            state.counts.hedges &+= 1
            return pick
        }
    }

    /// Releases an endpoint and records the outcome of the attempt.
    package func release(_ pick: LoadBalancer.Pick, _ outcome: CircuitBreaker.Outcome) {
        let now = clock()
        log(state.withLock { $0.endpoints.release(pick, outcome, at: now) }, of: pick)
    }

    private func log(_ change: CircuitBreaker.State?, of pick: LoadBalancer.Pick) {
        let metadata: Logger.Metadata = ["upstream": "\(name)", "endpoint": "\(addresses[pick.index])"]
        switch change {
        case .open: logger.warning("circuit breaker open", metadata: metadata)
        case .halfOpen: logger.notice("circuit breaker half-open", metadata: metadata)
        case .closed: logger.notice("circuit breaker closed", metadata: metadata)
        case nil: break
        }
    }

    /// Closes all circuit breakers.
    ///
    /// - Parameter reason: the reason to log
    package func resetBreakers(because reason: String) {
        for endpoint in addresses.indices { resetBreaker(of: endpoint, because: reason) }
    }

    private func resetBreaker(of endpoint: Int, because reason: String) {
        let now = clock()
        guard state.withLock({ $0.endpoints.resetBreaker(of: endpoint, at: now) }) else { return }
        logger.notice(
            "circuit breaker closed", metadata: ["upstream": "\(name)", "endpoint": "\(addresses[endpoint])", "reason": "\(reason)"])
    }

    // MARK: Retries and failures

    /// Whether a retry is admitted: an endpoint is available and the retry budget isn't exhausted. An admitted retry is charged.
    package func admitRetry() -> Bool {
        let now = clock()
        return state.withLock { state in
            guard state.endpoints.wait(at: now) == .zero, state.budget.spend() else { return false }
            state.counts.retries &+= 1
            return true
        }
    }

    /// Counts a failed call. When no endpoint is available, sets the failure's `retryAfter` unless the upstream has set it.
    package func fail(_ failure: inout CallFailure, _ timing: CallTiming = CallTiming()) {
        let now = clock()
        let code = failure.code
        let wait = state.withLock { state in
            state.counts.failed &+= 1
            state.metrics.countFailed(code, timing)
            return state.endpoints.wait(at: now)
        }
        if failure.isRetryable, failure.retryAfter == nil, wait > .zero { failure.setRetry(after: wait) }
    }

    /// Counts a cancelled call.
    package func cancelled(_ reason: CancelReason) {
        state.withLock { state in
            state.counts.cancelled &+= 1
            state.metrics.countCancelled(reason)
        }
    }

    package func count(_ change: @Sendable (inout Counts) -> Void) { state.withLock { change(&$0.counts) } }

    /// Logs the cause of a failure, which isn't disclosed to clients. Never logs message text.
    ///
    /// - Parameter isRetried: whether the request is retried
    package func report(_ failure: CallFailure, of request: borrowing UpstreamRequest, isRetried: Bool) {
        let now = clock()
        let (code, id) = (failure.code, failure.correlationID)
        let verdict = state.withLock { state in
            if !isRetried, let id { state.metrics.refer(to: Exemplar(correlationID: id, wall: LoopClock.wallMilliseconds()), for: code) }
            return state.throttle.admit(.upstream, now: now)
        }
        guard case .write(let suppressed) = verdict else { return }
        var metadata: Logger.Metadata = [
            "upstream": "\(name)", "code": "\(failure.code.rawValue)", "details": "\(failure.details ?? failure.reason.message)",
            "session_id": "\(request.session)", "reply_to": "\(request.id)",
        ]
        if let endpoint = failure.endpoint {
            if addresses.indices.contains(endpoint) { metadata["endpoint"] = "\(addresses[endpoint])" }
            if paths.indices.contains(endpoint) { metadata["path"] = "\(paths[endpoint])" }
        }
        if let id = failure.correlationID { metadata["correlation_id"] = "\(id)" }
        if isRetried { metadata["retried"] = "true" }
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        logger.info("upstream failed", metadata: metadata)
    }

    /// Logs a throttled warning about an event that belongs to no request.
    package func logWarning(_ message: Logger.Message, details: String) {
        let now = clock()
        guard case .write(let suppressed) = state.withLock({ $0.throttle.admit(.upstream, now: now) }) else { return }
        var metadata: Logger.Metadata = ["upstream": "\(name)", "details": "\(details)"]
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        logger.warning(message, metadata: metadata)
    }

    /// Records the result of a health check. A passed check also closes the endpoint's circuit breaker.
    package func setHealth(of endpoint: Int, _ isHealthy: Bool) {
        if isHealthy { resetBreaker(of: endpoint, because: "health check passed") }
        guard state.withLock({ $0.endpoints.setHealth(of: endpoint, isHealthy) }) else { return }
        let metadata: Logger.Metadata = ["upstream": "\(name)", "endpoint": "\(addresses[endpoint])"]
        if isHealthy {
            logger.notice("endpoint healthy", metadata: metadata)
        } else {
            logger.warning("endpoint unhealthy", metadata: metadata)
        }
    }

    package var condition: UpstreamState {
        let now = clock()
        return state.withLock { $0.endpoints.state(at: now) }
    }

    /// A copy of the metrics that shares no memory with the pool's own.
    package var metrics: UpstreamMetrics {
        state.withLock { state in
            var copy = UpstreamMetrics()
            copy.add(state.metrics)
            return copy
        }
    }

    /// The state of an upstream at one moment.
    package struct Snapshot: Sendable {
        package var counts: Counts
        /// Requests that hold a permit.
        package var active: Int
        /// Requests that wait for a permit.
        package var waiting: Int
        /// Permits: the highest number held so far, and the limit, `Int.max` if there is none.
        package var permits: (peak: Int, limit: Int)
        /// The queue for permits: its highest length so far, and the limit.
        package var queue: (peak: Int, limit: Int)
        package var endpoints: [LoadBalancer.Endpoint]
        /// The state of each endpoint's breaker, and how long the breaker has had the state.
        package var states: [CircuitBreaker.State]
        package var stateDurations: [Instant.Duration]
    }

    /// Returns a consistent snapshot of counters, permits and endpoints.
    package func snapshot() -> Snapshot {
        let now = clock()
        return state.withLock { state in
            let permits = state.permits
            let breakers = state.endpoints.endpoints.map(\.breaker)
            return Snapshot(
                counts: state.counts, active: permits.held, waiting: permits.waiting, permits: (permits.peakHeld, permits.limit),
                queue: (permits.peakWaiting, permits.capacity), endpoints: state.endpoints.endpoints,
                states: breakers.map { $0.state(at: now) },
                stateDurations: breakers.map { max(.zero, now - ($0.since(at: now) ?? created)) })
        }
    }
}

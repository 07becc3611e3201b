package import GatewayCore
package import Logging
import NIOCore
import Synchronization

/// The part of one upstream that all event loops share: permits, endpoints with their breakers, the retry budget, and counts.
///
/// The one lock on the way of a request: held for a few dozen nanoseconds, twice a request.
package final class UpstreamPool: Sendable {
    package struct Policy: Sendable, Hashable {
        /// Requests at a time.
        package var permits = Int.max
        /// Requests that wait for a permit.
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
        var lastTicket: UInt64 = 0
        var waiters: [UInt64: @Sendable () -> Void] = [:]
        var throttle = LogThrottle<LogTopic>(lines: 10, per: .seconds(1))

        /// - Returns: grants the permit to the next request in the queue, if there is one
        mutating func release() -> (@Sendable () -> Void)? { permits.release().flatMap { waiters.removeValue(forKey: $0) } }
    }

    /// The clock of the machine, which all event loops share.
    package static let monotonic: @Sendable () -> Instant = {
        Instant(nanoseconds: Int64(truncatingIfNeeded: NIODeadline.now().uptimeNanoseconds))
    }

    package let name: String
    package let addresses: [String]
    /// The path of requests at each endpoint, without the query, which may have secrets. Empty for upstreams without paths.
    private let paths: [String]
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
        state = Mutex(
            State(
                permits: PermitQueue(limit: policy.permits, capacity: policy.queue),
                endpoints: LoadBalancer(count: addresses.count, policy: policy.breaker), budget: RetryBudget(share: policy.retryShare)))
    }

    package enum Acquisition {
        case acquired
        /// The ticket that stands for the request in the queue.
        case queued(UInt64)
        /// The queue is full.
        case rejected
    }

    // MARK: Permits

    /// Acquires a permit and an endpoint at once, the common case; nil when requests are queued or no endpoint takes one: then the two are
    /// acquired one by one.
    package func acquire() -> LoadBalancer.Pick? {
        let now = clock()
        return state.withLock { state in
            guard state.permits.isFree, case .picked(let pick) = state.endpoints.pick(at: now) else { return nil }
            state.lastTicket &+= 1
            _ = state.permits.acquire(state.lastTicket)
            state.budget.earn()
            return pick
        }
    }

    /// A response is complete: returns the endpoint, and releases the permit.
    package func complete(_ pick: LoadBalancer.Pick) {
        let now = clock()
        let (change, granted) = state.withLock { state in
            state.counts.completed &+= 1
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

    /// Leaves the queue. False when the permit was granted in the meantime: `granted` is still called, and the permit has to be released.
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

    /// Picks an endpoint for a hedge that isn't among `tried`, and pays for it from the retry budget; nil when there is none, or no budget.
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

    /// Returns an endpoint.
    package func release(_ pick: LoadBalancer.Pick, _ outcome: CircuitBreaker.Outcome) {
        let now = clock()
        log(state.withLock { $0.endpoints.release(pick, outcome, at: now) }, of: pick)
    }

    private func log(_ change: CircuitBreaker.State?, of pick: LoadBalancer.Pick) {
        guard let change else { return }
        logger.log(
            level: change == .open ? .warning : .notice, "circuit breaker \(change.rawValue)",
            metadata: ["upstream": "\(name)", "endpoint": "\(addresses[pick.index])"])
    }

    /// Closes all breakers, because an operator or a reload says that the upstream works again.
    package func resetBreakers(because reason: String) {
        for endpoint in addresses.indices { resetBreaker(of: endpoint, because: reason) }
    }

    private func resetBreaker(of endpoint: Int, because reason: String) {
        guard state.withLock({ $0.endpoints.resetBreaker(of: endpoint) }) else { return }
        logger.notice(
            "circuit breaker closed", metadata: ["upstream": "\(name)", "endpoint": "\(addresses[endpoint])", "reason": "\(reason)"])
    }

    // MARK: Retries and failures

    /// Admits a retry: an endpoint takes requests, and the retry budget pays for it.
    package func admitRetry() -> Bool {
        let now = clock()
        return state.withLock { state in
            guard state.endpoints.wait(at: now) == .zero, state.budget.spend() else { return false }
            state.counts.retries &+= 1
            return true
        }
    }

    /// Counts a failed call, and tells it how long to wait where it doesn't say so and no endpoint takes requests.
    package func fail(_ failure: inout CallFailure) {
        let now = clock()
        let wait = state.withLock { state in
            state.counts.failed &+= 1
            return state.endpoints.wait(at: now)
        }
        if failure.isRetryable, failure.retryAfter == nil, wait > .zero { failure.setRetry(after: wait) }
    }

    package func count(_ change: @Sendable (inout Counts) -> Void) { state.withLock { change(&$0.counts) } }

    /// Logs the reason of a failure, which clients aren't told; no message text.
    ///
    /// - Parameter isRetried: whether the request is tried again
    package func report(_ failure: CallFailure, of request: borrowing UpstreamRequest, isRetried: Bool) {
        let now = clock()
        guard case .write(let suppressed) = state.withLock({ $0.throttle.admit(.upstream, now: now) }) else { return }
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

    /// Logs an event that belongs to no request, throttled.
    package func note(_ message: Logger.Message, details: String) {
        let now = clock()
        guard case .write(let suppressed) = state.withLock({ $0.throttle.admit(.upstream, now: now) }) else { return }
        var metadata: Logger.Metadata = ["upstream": "\(name)", "details": "\(details)"]
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        logger.warning(message, metadata: metadata)
    }

    /// A passed health check also closes the endpoint's breaker.
    package func setHealth(of endpoint: Int, _ isHealthy: Bool) {
        if isHealthy { resetBreaker(of: endpoint, because: "health check passed") }
        guard state.withLock({ $0.endpoints.setHealth(of: endpoint, isHealthy) }) else { return }
        logger.log(
            level: isHealthy ? .notice : .warning, isHealthy ? "endpoint healthy" : "endpoint unhealthy",
            metadata: ["upstream": "\(name)", "endpoint": "\(addresses[endpoint])"])
    }

    package var condition: UpstreamState {
        let now = clock()
        return state.withLock { $0.endpoints.state(at: now) }
    }

    /// Everything at one moment.
    package func snapshot() -> (
        counts: Counts, active: Int, waiting: Int, endpoints: [LoadBalancer.Endpoint], states: [CircuitBreaker.State]
    ) {
        let now = clock()
        return state.withLock { state in
            (
                state.counts, state.permits.held, state.permits.waiting, state.endpoints.endpoints,
                state.endpoints.endpoints.map { $0.breaker.state(at: now) }
            )
        }
    }
}

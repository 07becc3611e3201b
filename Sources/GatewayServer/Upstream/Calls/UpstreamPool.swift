package import GatewayCore
package import Logging
import NIOCore
import Synchronization

/// What all event loops share of one upstream: places, endpoints with their breakers, the budget of retries, and counts.
///
/// The one lock on the way of a request: held for a few dozen nanoseconds, twice a request.
package final class UpstreamPool: Sendable {
    package struct Policy: Sendable, Hashable {
        package var places = Int.max
        package var line = 0
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
        var line: SlotLine
        var endpoints: EndpointSet
        var budget: RetryBudget
        var counts = Counts()
        var lastTicket: UInt64 = 0
        var waiters: [UInt64: @Sendable () -> Void] = [:]
        var throttle = LogThrottle<LogTopic>(lines: 10, per: .seconds(1))

        /// Returns who waits for the place that was given back, if anybody does.
        mutating func give() -> (@Sendable () -> Void)? { line.give().flatMap { waiters.removeValue(forKey: $0) } }
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
                line: SlotLine(limit: policy.places, longest: policy.line),
                endpoints: EndpointSet(count: addresses.count, policy: policy.breaker), budget: RetryBudget(share: policy.retryShare)))
    }

    package enum Entry {
        case granted
        /// Names the place in the line.
        case waiting(UInt64)
        case full
    }

    /// A place and an endpoint at once, as is usual; nil when there is a line, or no endpoint takes a request: then to be asked one by one.
    package func begin() -> EndpointSet.Claim? {
        let now = clock()
        return state.withLock { state in
            guard state.line.hasRoom, case .claimed(let claim) = state.endpoints.claim(at: now) else { return nil }
            state.lastTicket &+= 1
            _ = state.line.enter(state.lastTicket)
            state.budget.earn()
            return claim
        }
    }

    /// An answer is complete: gives the endpoint and the place back.
    package func complete(_ claim: EndpointSet.Claim) {
        let now = clock()
        let (change, granted) = state.withLock { state in
            state.counts.completed &+= 1
            return (state.endpoints.settle(claim, .success, at: now), state.give())
        }
        tell(change, of: claim)
        granted?()
    }

    /// Asks for a place.
    ///
    /// - Parameter granted: called when one is free, from any thread; not called when one is granted at once
    package func enter(granted: @escaping @Sendable () -> Void) -> Entry {
        state.withLock { state in
            state.lastTicket &+= 1
            state.budget.earn()
            switch state.line.enter(state.lastTicket) {
            case .granted: return .granted
            case .full: return .full
            case .waiting:
                state.waiters[state.lastTicket] = granted
                return .waiting(state.lastTicket)
            }
        }
    }

    /// Doesn't wait any longer. False when a place was granted in the meantime: it has to be given back, and `granted` is still called.
    package func leave(_ ticket: UInt64) -> Bool {
        state.withLock { state in
            guard state.line.leave(ticket) else { return false }
            state.waiters[ticket] = nil
            return true
        }
    }

    /// Gives a place back.
    package func give() {
        let granted = state.withLock { $0.give() }
        granted?()
    }

    package func claim(avoiding tried: [Int]) -> EndpointSet.Choice {
        let now = clock()
        return state.withLock { $0.endpoints.claim(avoiding: tried, at: now) }
    }

    package func settle(_ claim: EndpointSet.Claim, _ outcome: CircuitBreaker.Outcome) {
        let now = clock()
        tell(state.withLock { $0.endpoints.settle(claim, outcome, at: now) }, of: claim)
    }

    private func tell(_ change: CircuitBreaker.State?, of claim: EndpointSet.Claim) {
        guard let change else { return }
        logger.log(
            level: change == .open ? .warning : .notice, "circuit breaker \(change.rawValue)",
            metadata: ["upstream": "\(name)", "endpoint": "\(addresses[claim.index])"])
    }

    /// Closes all breakers, because somebody who knows better says that the upstream works again.
    package func resetBreakers(because reason: String) {
        for endpoint in addresses.indices { resetBreaker(of: endpoint, because: reason) }
    }

    private func resetBreaker(of endpoint: Int, because reason: String) {
        guard state.withLock({ $0.endpoints.resetBreaker(of: endpoint) }) else { return }
        logger.notice(
            "circuit breaker closed", metadata: ["upstream": "\(name)", "endpoint": "\(addresses[endpoint])", "reason": "\(reason)"])
    }

    /// Nanoseconds until some endpoint takes requests again; 0 when one does.
    package var wait: Int64 {
        let now = clock()
        return state.withLock { $0.endpoints.endpoints.map { $0.breaker.wait(at: now) }.min() ?? 0 }
    }

    /// Whether there may be a retry now; counts it.
    package func mayRetry() -> Bool {
        state.withLock { state in
            guard state.budget.spend() else { return false }
            state.counts.retries &+= 1
            return true
        }
    }

    package func count(_ change: @Sendable (inout Counts) -> Void) { state.withLock { change(&$0.counts) } }

    /// Operators are told what clients aren't: why. Nothing of what was said.
    ///
    /// - Parameter isRetried: the request is tried again
    package func report(_ failure: CallFailure, of order: CallOrder, isRetried: Bool) {
        let now = clock()
        guard case .write(let suppressed) = state.withLock({ $0.throttle.admit(.upstream, now: now) }) else { return }
        var metadata: Logger.Metadata = [
            "upstream": "\(name)", "code": "\(failure.code.rawValue)", "details": "\(failure.details ?? failure.message)",
            "session_id": "\(order.session)", "reply_to": "\(order.id)",
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
        counts: Counts, active: Int, waiting: Int, endpoints: [EndpointSet.Endpoint], states: [CircuitBreaker.State]
    ) {
        let now = clock()
        return state.withLock { state in
            (
                state.counts, state.line.taken, state.line.waiting, state.endpoints.endpoints,
                state.endpoints.endpoints.map { $0.breaker.state(at: now) }
            )
        }
    }
}

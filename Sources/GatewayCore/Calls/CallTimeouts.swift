/// The deadlines of one call to an upstream, and the phase that they apply to.
package struct CallTimeouts: Sendable {
    /// Limits; ``Instant/Duration/max`` for none.
    package struct Policy: Sendable, Hashable {
        /// In the queue for a permit.
        package var waiting = Instant.Duration.max
        package var connect = Instant.Duration.max
        /// From the end of the request to the first byte of the response.
        package var firstByte = Instant.Duration.max
        /// Between bytes of the response.
        package var betweenBytes = Instant.Duration.max
        /// From the start of the call to its end, the queue included; not while the client speaks, or doesn't read.
        package var total = Instant.Duration.max

        package init() {}
    }

    package enum Phase: String, Sendable, CaseIterable {
        case waiting, connecting
        /// The request is on its way, and as long as the client speaks, no response is due. Queued audio has to be consumed, though.
        case sending
        case awaiting, answering
        /// Between two attempts.
        case pausing
    }

    package let policy: Policy
    package private(set) var phase = Phase.waiting
    private var begunAt: Instant
    private var since: Instant
    /// The time since when the response isn't read, because the client doesn't read: that isn't the upstream's fault.
    private var heldSince: Instant?
    /// The time since when bytes of the response have come without content.
    private var emptySince: Instant
    /// Bytes of streamed audio that the upstream hasn't consumed.
    private var waitingBytes = 0

    /// Bytes without content, such as comments that keep a connection open, count as life for so many times ``Policy/betweenBytes``.
    package static let emptyFactor = 10

    package init(policy: Policy, at now: Instant) {
        self.policy = policy
        begunAt = now
        since = now
        emptySince = now
    }

    package var isHeld: Bool { heldSince != nil }

    package mutating func enter(_ next: Phase, at now: Instant) {
        // However long a client speaks, the response has all its time.
        if phase == .sending { begunAt = now }
        if phase != next { emptySince = now }
        phase = next
        since = now
    }

    /// Bytes of the response have come.
    package mutating func heard(at now: Instant) {
        if phase == .awaiting || phase == .answering { enter(.answering, at: now) }
    }

    /// Content of the response has come.
    package mutating func advanced(at now: Instant) { emptySince = now }

    /// Notes how many bytes of streamed audio the upstream hasn't consumed.
    package mutating func wait(_ bytes: Int, at now: Instant) {
        if phase == .sending, waitingBytes == 0 || bytes < waitingBytes { since = now }
        waitingBytes = bytes
    }

    package mutating func hold(_ held: Bool, at now: Instant) {
        if held {
            heldSince = heldSince ?? now
        } else if let from = heldSince {
            begunAt += now - from
            heldSince = nil
            since = now
            emptySince = now
        }
    }

    /// Whether no time is left for another attempt.
    package func isOutOfTime(at now: Instant) -> Bool { policy.total != .max && now - begunAt >= policy.total }

    /// The phase that has taken too long; nil when none has.
    package func overdue(at now: Instant) -> Phase? {
        if heldSince == nil, phase != .sending, isOutOfTime(at: now) { return phase }
        guard heldSince == nil || phase == .waiting || phase == .connecting else { return nil }
        let limit: Instant.Duration =
            switch phase {
            case .waiting: policy.waiting
            case .connecting: policy.connect
            case .awaiting: policy.firstByte
            case .answering: policy.betweenBytes
            case .sending: waitingBytes > 0 ? policy.betweenBytes : .max
            case .pausing: .max
            }
        guard limit != .max else { return nil }
        if now - since >= limit { return phase }
        let longest = limit * Self.emptyFactor
        return phase == .answering && longest != .max && now - emptySince >= longest ? phase : nil
    }
}

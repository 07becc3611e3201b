/// What one call to an upstream may take, and where it stands: says which deadline is next and what passing it means.
package struct CallTimeouts: Sendable {
    /// Nanoseconds; `Int64.max` where there is no limit.
    package struct Policy: Sendable, Hashable {
        /// In the waiting line of the pool.
        package var waiting: Int64 = .max
        package var connect: Int64 = .max
        /// From the end of the request to the first byte of the answer.
        package var firstByte: Int64 = .max
        /// Between bytes of the answer.
        package var betweenBytes: Int64 = .max
        /// Of everything, the waiting line included; not while the client speaks, or doesn't read.
        package var total: Int64 = .max

        package init() {}
    }

    package enum Phase: String, Sendable, CaseIterable {
        case waiting, connecting
        /// The request is on its way, and as long as the client speaks, no answer is due.
        case sending
        case awaiting, answering
        /// Between two attempts.
        case pausing
    }

    package let policy: Policy
    package private(set) var phase = Phase.waiting
    private var begunAt: Instant
    private var since: Instant
    /// Since when the answer isn't read, because nobody takes it: that isn't the upstream's fault.
    private var heldSince: Instant?

    package init(policy: Policy, at now: Instant) {
        self.policy = policy
        begunAt = now
        since = now
    }

    package mutating func enter(_ next: Phase, at now: Instant) {
        // However long a client speaks, the answer has all its time.
        if phase == .sending { begunAt = now }
        phase = next
        since = now
    }

    /// Bytes of the answer have come.
    package mutating func heard(at now: Instant) {
        if phase == .awaiting || phase == .answering { enter(.answering, at: now) }
    }

    package mutating func hold(_ held: Bool, at now: Instant) {
        if held {
            heldSince = heldSince ?? now
        } else if let from = heldSince {
            begunAt = begunAt.advanced(byNanoseconds: now.nanoseconds(since: from))
            heldSince = nil
            since = now
        }
    }

    /// No time is left for another attempt.
    package func isOutOfTime(at now: Instant) -> Bool { policy.total != .max && now.nanoseconds(since: begunAt) >= policy.total }

    /// What has taken too long; nil when nothing has.
    package func overdue(at now: Instant) -> Phase? {
        if heldSince == nil, phase != .sending, isOutOfTime(at: now) { return phase }
        let limit: Int64 =
            switch phase {
            case .waiting: policy.waiting
            case .connecting: policy.connect
            case .awaiting where heldSince != nil, .answering where heldSince != nil: .max
            case .awaiting: policy.firstByte
            case .answering: policy.betweenBytes
            case .sending, .pausing: .max
            }
        return limit != .max && now.nanoseconds(since: since) >= limit ? phase : nil
    }
}

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
        /// The request is on its way, and as long as the client speaks, no answer is due. Queued audio has to be taken, though.
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
    /// Since when bytes of the answer have come without anything in them.
    private var emptySince: Instant
    /// Bytes of streamed audio in the upstream's queue.
    private var waitingBytes = 0

    /// Bytes without anything in them, such as comments that keep a connection open, count as life for so many times
    /// ``Policy/betweenBytes``.
    package static let emptyFactor: Int64 = 10

    package init(policy: Policy, at now: Instant) {
        self.policy = policy
        begunAt = now
        since = now
        emptySince = now
    }

    package mutating func enter(_ next: Phase, at now: Instant) {
        // However long a client speaks, the answer has all its time.
        if phase == .sending { begunAt = now }
        if phase != next { emptySince = now }
        phase = next
        since = now
    }

    /// Bytes of the answer have come.
    package mutating func heard(at now: Instant) {
        if phase == .awaiting || phase == .answering { enter(.answering, at: now) }
    }

    /// A part of the answer has come.
    package mutating func advanced(at now: Instant) { emptySince = now }

    /// Notes how many bytes of streamed audio are in the upstream's queue.
    package mutating func wait(_ bytes: Int, at now: Instant) {
        if phase == .sending, waitingBytes == 0 || bytes < waitingBytes { since = now }
        waitingBytes = bytes
    }

    package mutating func hold(_ held: Bool, at now: Instant) {
        if held {
            heldSince = heldSince ?? now
        } else if let from = heldSince {
            begunAt = begunAt.advanced(byNanoseconds: now.nanoseconds(since: from))
            heldSince = nil
            since = now
            emptySince = now
        }
    }

    /// No time is left for another attempt.
    package func isOutOfTime(at now: Instant) -> Bool { policy.total != .max && now.nanoseconds(since: begunAt) >= policy.total }

    /// What has taken too long; nil when nothing has.
    package func overdue(at now: Instant) -> Phase? {
        if heldSince == nil, phase != .sending, isOutOfTime(at: now) { return phase }
        guard heldSince == nil || phase == .waiting || phase == .connecting else { return nil }
        let limit: Int64 =
            switch phase {
            case .waiting: policy.waiting
            case .connecting: policy.connect
            case .awaiting: policy.firstByte
            case .answering: policy.betweenBytes
            case .sending: waitingBytes > 0 ? policy.betweenBytes : .max
            case .pausing: .max
            }
        guard limit != .max else { return nil }
        if now.nanoseconds(since: since) >= limit { return phase }
        let (longest, overflow) = limit.multipliedReportingOverflow(by: Self.emptyFactor)
        return phase == .answering && !overflow && now.nanoseconds(since: emptySince) >= longest ? phase : nil
    }
}

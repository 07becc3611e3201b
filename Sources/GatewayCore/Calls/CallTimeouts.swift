// SPDX-License-Identifier: Apache-2.0

/// The deadlines of one call to an upstream and the current phase, which determines the deadline that applies.
package struct CallTimeouts: Sendable {
    /// The limits of the phases; ``Instant/Duration/max`` for none.
    package struct Policy: Sendable, Hashable {
        /// In the queue for a permit.
        package var waiting = Instant.Duration.max
        package var connect = Instant.Duration.max
        /// From the end of the request to the first byte of the response.
        package var firstByte = Instant.Duration.max
        /// Between bytes of the response.
        package var betweenBytes = Instant.Duration.max
        /// From the start of the call to its end, including the time in the queue, but not the time while the client sends audio or doesn't
        /// read.
        package var total = Instant.Duration.max

        package init() {}
    }

    package enum Phase: String, Sendable, CaseIterable {
        case waiting, connecting
        /// The client is still sending audio: no response is due, but the upstream must keep consuming the audio.
        case sending
        case awaiting, responding
        /// The backoff between two attempts.
        case backoff
    }

    package let policy: Policy
    package private(set) var phase = Phase.waiting
    /// The time that ``Policy/total`` is measured from, moved forward by the time that doesn't count.
    private var startedAt: Instant
    /// The time that the deadline of the current phase is measured from.
    private var phaseStart: Instant
    /// The time when reading was paused because the client doesn't read; nil when not paused. Paused time doesn't count against the
    /// upstream.
    private var pausedAt: Instant?
    /// The time of the last content of the response.
    private var lastContentAt: Instant
    /// Bytes of streamed audio that the upstream hasn't consumed.
    private var unconsumedBytes = 0

    /// The longest time without content, as a multiple of ``Policy/betweenBytes``. Bytes without content, such as keepalive comments,
    /// extend the deadline no further.
    package static let noContentFactor = 10

    package init(policy: Policy, at now: Instant) {
        self.policy = policy
        startedAt = now
        phaseStart = now
        lastContentAt = now
    }

    package var isPaused: Bool { pausedAt != nil }

    package mutating func enter(_ next: Phase, at now: Instant) {
        // The time that the client takes to send audio doesn't count toward the total.
        if phase == .sending { startedAt = now }
        if phase != next { lastContentAt = now }
        phase = next
        phaseStart = now
    }

    /// Notes that bytes of the response were received.
    package mutating func receivedBytes(at now: Instant) {
        if phase == .awaiting || phase == .responding { enter(.responding, at: now) }
    }

    /// Notes that content of the response was received.
    package mutating func receivedContent(at now: Instant) { lastContentAt = now }

    /// Updates the number of bytes of streamed audio that the upstream hasn't consumed.
    package mutating func setUnconsumed(_ bytes: Int, at now: Instant) {
        if phase == .sending, unconsumedBytes == 0 || bytes < unconsumedBytes { phaseStart = now }
        unconsumedBytes = bytes
    }

    /// Pauses or resumes the deadlines that depend on reading the response.
    package mutating func setPaused(_ paused: Bool, at now: Instant) {
        if paused {
            pausedAt = pausedAt ?? now
        } else if let from = pausedAt {
            startedAt += now - from
            pausedAt = nil
            phaseStart = now
            lastContentAt = now
        }
    }

    /// Returns whether the total time has elapsed, so that no other attempt is made.
    package func isOutOfTime(at now: Instant) -> Bool { policy.total != .max && now - startedAt >= policy.total }

    /// Returns the current phase if its deadline has passed; nil otherwise.
    package func overdue(at now: Instant) -> Phase? {
        if pausedAt == nil, phase != .sending, isOutOfTime(at: now) { return phase }
        guard pausedAt == nil || phase == .waiting || phase == .connecting else { return nil }
        let limit: Instant.Duration =
            switch phase {
            case .waiting: policy.waiting
            case .connecting: policy.connect
            case .awaiting: policy.firstByte
            case .responding: policy.betweenBytes
            case .sending: unconsumedBytes > 0 ? policy.betweenBytes : .max
            case .backoff: .max
            }
        guard limit != .max else { return nil }
        if now - phaseStart >= limit { return phase }
        let longest = limit * Self.noContentFactor
        return phase == .responding && longest != .max && now - lastContentAt >= longest ? phase : nil
    }
}

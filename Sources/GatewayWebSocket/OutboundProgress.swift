package import GatewayCore

/// Whether the peer of a socket still takes what it is sent.
package struct OutboundProgress {
    /// Since when no byte was taken although some wait; nil when none do.
    private var stuckSince: Instant?
    /// Bytes handed to the pipeline, and how many of them had been taken at the last look. With TLS what waits is a little more than what was
    /// handed over; only a growth of the difference counts.
    private var handedOver: Int64 = 0
    private var takenBefore: Int64 = 0

    package init() {}

    package mutating func handOver(_ bytes: Int) { handedOver &+= Int64(truncatingIfNeeded: bytes) }

    /// - Parameters:
    ///   - limit: nanoseconds without progress
    ///   - pending: bytes that wait for the system
    package mutating func isStuck(for limit: Int64, pending: Int, at now: Instant) -> Bool {
        guard pending > 0 else {
            stuckSince = nil
            return false
        }
        guard let since = stuckSince, !hasMoved(pending: pending) else {
            stuckSince = now
            takenBefore = handedOver &- Int64(pending)
            return false
        }
        return now.nanoseconds(since: since) >= limit
    }

    /// Whether bytes were taken since the last look.
    package mutating func hasMoved(pending: Int) -> Bool {
        let taken = handedOver &- Int64(pending)
        guard taken > takenBefore else { return false }
        takenBefore = taken
        return true
    }
}

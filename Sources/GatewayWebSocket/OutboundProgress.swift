// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// Detects a slow consumer: a socket that accepts no bytes although some are pending.
package struct OutboundProgress {
    /// The time since which no byte was accepted although some are pending; nil when none are.
    private var stuckSince: Instant?
    /// The bytes written to the pipeline.
    private var written: Int64 = 0
    /// The bytes that the socket had accepted at the last check. With TLS, pending bytes include its overhead, so the number is too low, and
    /// only its growth matters.
    private var previouslyAccepted: Int64 = 0

    package init() {}

    package mutating func addWritten(_ bytes: Int) { written &+= Int64(truncatingIfNeeded: bytes) }

    /// - Parameters:
    ///   - limit: nanoseconds without progress
    ///   - pending: the bytes that the socket hasn't accepted yet
    package mutating func isStuck(for limit: Int64, pending: Int, at now: Instant) -> Bool {
        guard pending > 0 else {
            stuckSince = nil
            return false
        }
        guard let since = stuckSince, !hasProgressed(pending: pending) else {
            stuckSince = now
            previouslyAccepted = written &- Int64(pending)
            return false
        }
        return now.nanoseconds(since: since) >= limit
    }

    /// Returns whether the socket accepted bytes since the last check.
    package mutating func hasProgressed(pending: Int) -> Bool {
        let accepted = written &- Int64(pending)
        guard accepted > previouslyAccepted else { return false }
        previouslyAccepted = accepted
        return true
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The delays between retries: exponential backoff up to a limit with full jitter, so that calls that failed together don't retry together.
package struct Backoff: Sendable, Hashable {
    /// The maximum delay before the first retry.
    package var base = Instant.Duration.milliseconds(100)
    /// The maximum delay before any retry.
    package var limit = Instant.Duration.seconds(2)

    package init() {}

    /// Returns the delay before the next retry.
    ///
    /// - Parameters:
    ///   - attempt: failed attempts so far, at least 1
    ///   - random: 0 up to but not including 1
    package func delay(after attempt: Int, random: Double) -> Instant.Duration {
        let doublings = min(max(attempt - 1, 0), 30)
        let longest = min(base * (1 << doublings), limit)
        return .nanoseconds(Int64(Double(longest.nanoseconds) * min(max(random, 0), 1)))
    }
}

/// How long to wait before a retry: twice as long each time, up to a bound, and a random share of that, so that those who failed together don't
/// come back together ("full jitter").
package struct Backoff: Sendable, Hashable {
    /// Nanoseconds before the first retry, at most.
    package var base: Int64 = 100_000_000
    /// Nanoseconds before any retry, at most.
    package var limit: Int64 = 2_000_000_000

    package init() {}

    /// Nanoseconds before a retry.
    ///
    /// - Parameters:
    ///   - attempt: failed attempts so far, at least 1
    ///   - random: 0 up to but not including 1
    package func delay(after attempt: Int, random: Double) -> Int64 {
        let doublings = min(max(attempt - 1, 0), 30)
        let (grown, isTooMuch) = base.multipliedReportingOverflow(by: 1 << Int64(doublings))
        return Int64(Double(isTooMuch ? limit : min(grown, limit)) * min(max(random, 0), 1))
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The times at which a JWK set is fetched: at once, regularly, on demand at an unknown `kid`, and again after failures.
///
/// Fetches never overlap, and two fetches begin at least ``minimumInterval`` apart unless the operator requests one.
package struct RefreshSchedule: Sendable, Equatable {
    /// The effect of a demand.
    package enum Demand: Sendable, Hashable {
        /// A fetch begins, and ``end(succeeded:now:random:)`` must be called after it.
        case fetch
        /// The fetch in progress serves this demand, too.
        case join
        /// The last fetch began less than the minimum interval ago.
        case tooSoon
    }

    /// The time from the end of a successful fetch to the next one.
    package private(set) var interval: Instant.Duration
    package private(set) var minimumInterval: Instant.Duration
    package private(set) var isFetching = false
    private var lastStart: Instant?
    /// When the last fetch ended, and the time from then to the next one.
    private var lastEnd: Instant?
    private var delay = Instant.Duration.zero
    private var failures = 0

    /// The maximum time that failures add to the minimum interval.
    package static let longestBackoff = Instant.Duration.seconds(300)

    package init(interval: Instant.Duration, minimumInterval: Instant.Duration) {
        self.interval = interval
        self.minimumInterval = minimumInterval
    }

    /// When the next fetch is due; nil for at once. Without a meaning while a fetch is in progress.
    package var due: Instant? {
        guard let lastStart, let lastEnd else { return nil }
        return max(lastStart + minimumInterval, lastEnd + (failures == 0 ? interval : delay))
    }

    /// Changes the intervals; they also apply to the time since the last fetch.
    package mutating func set(interval: Instant.Duration, minimumInterval: Instant.Duration) {
        self.interval = interval
        self.minimumInterval = minimumInterval
    }

    /// Requests a fetch because a key is unknown.
    package mutating func demand(now: Instant) -> Demand {
        if isFetching { return .join }
        if let lastStart, now - lastStart < minimumInterval { return .tooSoon }
        begin(now: now)
        return .fetch
    }

    /// Begins a fetch if one is due, and returns whether it does.
    package mutating func beginIfDue(now: Instant) -> Bool {
        guard !isFetching, due.map({ $0 <= now }) ?? true else { return false }
        begin(now: now)
        return true
    }

    /// Begins a fetch, whatever the intervals.
    package mutating func begin(now: Instant) {
        isFetching = true
        lastStart = now
    }

    /// Ends the fetch in progress. Failures are retried after the minimum interval and a growing random delay, so that gateways that failed
    /// together don't retry together.
    ///
    /// - Parameter random: 0 up to but not including 1
    package mutating func end(succeeded: Bool, now: Instant, random: Double) {
        isFetching = false
        lastEnd = now
        failures = succeeded ? 0 : min(failures + 1, 30)
        guard !succeeded else { return }
        var backoff = Backoff()
        backoff.base = max(minimumInterval, .seconds(1))
        backoff.limit = max(backoff.base, min(interval, Self.longestBackoff))
        delay = backoff.delay(after: failures, random: random)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The times at which a draining gateway sends `goaway` to its connections and closes them, relative to the beginning of the drain.
///
/// Both are spread evenly, so that clients don't reconnect in one wave. With n connections, `goaway` is sent every ``spacing``, or every
/// n-th part of the grace period if that is shorter; few connections therefore get it almost at once. Connections that remain after the
/// grace period are closed in the same order, in the same way.
package struct DrainSchedule: Sendable, Hashable {
    /// The times of one connection.
    package struct Times: Sendable, Hashable {
        package var goAway: Instant.Duration
        package var close: Instant.Duration

        package init(goAway: Instant.Duration, close: Instant.Duration) {
            self.goAway = goAway
            self.close = close
        }
    }

    /// The longest time between two connections.
    package static let spacing = Instant.Duration.milliseconds(20)

    /// `shutdown.drain`.
    package let total: Instant.Duration

    package init(total: Instant.Duration) {
        self.total = max(.zero, total)
    }

    /// The time for clients to finish and disconnect: 60 % of the drain. The first connection is closed when it ends.
    package var grace: Instant.Duration { total / 10 * 6 }

    /// The time within which the remaining connections are closed: the next 20 %.
    private var closing: Instant.Duration { total / 10 * 2 }

    /// The end of the time for close handshakes, at 90 %: connections that are still open are aborted.
    package var end: Instant.Duration { total / 10 * 9 }

    /// Returns the times of all connections of all event loops, in random order.
    ///
    /// - Parameter counts: the number of connections of each event loop
    /// - Returns: as many times for each event loop, in random order
    package func times(of counts: [Int], using generator: inout some RandomNumberGenerator) -> [[Times]] {
        var times = [[Times]](repeating: [], count: counts.count)
        var order = counts.enumerated().flatMap { Array(repeating: $0.offset, count: max(0, $0.element)) }
        guard !order.isEmpty else { return times }
        order.shuffle(using: &generator)
        let announcing = min(Self.spacing, grace / order.count)
        let closing = min(Self.spacing, closing / order.count)
        for (position, loop) in order.enumerated() {
            times[loop].append(Times(goAway: announcing * position, close: grace + closing * position))
        }
        for loop in times.indices { times[loop].shuffle(using: &generator) }
        return times
    }
}

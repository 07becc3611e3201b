// SPDX-License-Identifier: Apache-2.0

/// The watchdog that a service manager has requested: it restarts the process if no ping arrives within the interval.
package struct Watchdog: Sendable, Hashable {
    /// `WATCHDOG_USEC`.
    package let interval: Instant.Duration

    package init(interval: Instant.Duration) {
        self.interval = interval
    }

    /// Reads `WATCHDOG_USEC` and `WATCHDOG_PID` (sd_watchdog_enabled(3)). Returns nil if there is no watchdog, or it is for another process.
    ///
    /// - Parameter process: the id of this process
    package init?(environment: [String: String], process: Int32) {
        guard let text = environment["WATCHDOG_USEC"], let microseconds = Int64(text), microseconds > 0 else { return nil }
        if let owner = environment["WATCHDOG_PID"], owner != "\(process)" { return nil }
        self.init(interval: .nanoseconds(microseconds.saturatingProduct(1000)))
    }

    /// The time between two pings: half the interval, as systemd recommends.
    package var pingInterval: Instant.Duration { interval / 2 }

    /// Whether every event loop has ticked within half the interval. A stuck event loop ends the pings, since its clients get no responses.
    package func isAlive(lastTicks: [Instant], now: Instant) -> Bool {
        lastTicks.allSatisfy { now - $0 <= pingInterval }
    }
}

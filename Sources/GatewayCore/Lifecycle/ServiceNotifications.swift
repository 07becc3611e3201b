// SPDX-License-Identifier: Apache-2.0

/// The notifications of a service to its service manager, in the protocol of sd_notify(3): which are due, and in which order.
///
/// `READY=1` is sent when the gateway is ready for the first time, in agreement with `/readyz`. Until then the start timeout is extended.
package struct ServiceNotifications: Sendable {
    /// The state of the gateway at one moment.
    package struct Status: Sendable, Hashable {
        package var isReady: Bool
        /// One line for `systemctl status`.
        package var text: String

        package init(isReady: Bool, text: String) {
            self.isReady = isReady
            self.text = text
        }
    }

    private enum Phase: Sendable { case starting, running, stopping }

    private let watchdog: Watchdog?
    private var phase = Phase.starting
    private var reloads = 0
    private var lastText: String?
    private var nextText = Instant(nanoseconds: .min)
    private var nextPing = Instant(nanoseconds: .min)
    private var nextExtension = Instant(nanoseconds: .min)

    /// The shortest time between two status lines.
    package static let textInterval = Instant.Duration.seconds(5)
    /// The time by which the start timeout is extended; repeated after a third of it.
    package static let startExtension = Instant.Duration.seconds(30)
    /// The length of a status line in bytes.
    private static let maximumTextBytes = 512

    package init(watchdog: Watchdog?) {
        self.watchdog = watchdog
    }

    /// Whether `READY=1` was sent.
    package var hasStarted: Bool { phase != .starting }

    /// How long until ``update(_:ticks:now:)`` must be called again.
    package var updateInterval: Instant.Duration {
        guard hasStarted else { return .milliseconds(50) }
        return max(.milliseconds(10), min(.seconds(1), (watchdog?.pingInterval ?? .max) / 2))
    }

    /// Returns the notifications that are due: readiness, status line, watchdog ping.
    ///
    /// - Parameter ticks: the last tick of each event loop
    package mutating func update(_ status: Status, ticks: [Instant], now: Instant) -> [String] {
        var lines: [String] = []
        if phase == .starting {
            if status.isReady {
                phase = .running
                nextText = now
                lines.append("READY=1")
            } else if now >= nextExtension {
                nextExtension = now + Self.startExtension / 3
                lines.append("EXTEND_TIMEOUT_USEC=\(Self.startExtension.nanoseconds / 1000)")
            }
        }
        if now >= nextText, status.text != lastText {
            nextText = now + Self.textInterval
            lastText = status.text
            lines.append("STATUS=" + Self.line(status.text))
        }
        if let watchdog, hasStarted, now >= nextPing, watchdog.isAlive(lastTicks: ticks, now: now) {
            nextPing = now + watchdog.pingInterval
            lines.append("WATCHDOG=1")
        }
        return lines
    }

    /// Returns the notification that a reload begins.
    ///
    /// - Parameter microseconds: CLOCK_MONOTONIC, by which systemd recognizes the reload that it requested
    package mutating func reloadBegan(monotonic microseconds: Int64) -> [String] {
        reloads += 1
        return phase == .running ? ["RELOADING=1", "MONOTONIC_USEC=\(microseconds)"] : []
    }

    /// Returns the notification that a reload has ended, applied or not.
    package mutating func reloadEnded() -> [String] {
        reloads = max(0, reloads - 1)
        return phase == .running && reloads == 0 ? ["READY=1"] : []
    }

    /// Returns the notification that the process stops.
    package mutating func stopping() -> [String] {
        guard phase != .stopping else { return [] }
        phase = .stopping
        nextText = Instant(nanoseconds: .min)
        return ["STOPPING=1"]
    }

    /// Returns the text without control characters, limited in length.
    private static func line(_ text: String) -> String {
        var line = ""
        for character in text.unicodeScalars where character.value >= 0x20 && character.value != 0x7F {
            guard line.utf8.count < maximumTextBytes else { break }
            line.unicodeScalars.append(character)
        }
        return line
    }
}

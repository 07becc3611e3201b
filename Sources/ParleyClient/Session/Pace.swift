// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The pace of texts after rejections: each further rejection would count toward the gateway's limit, at which it ends the session.
struct Pace: Sendable {
    /// The most texts without an acknowledgement on a connection.
    static let window = 50
    /// After so many accepted texts, the interval between texts is halved, to find out whether it must be as long.
    private static let probeAfter = 5
    private static let shortest = Duration.milliseconds(10)

    private var limit = Self.window
    private var interval = Duration.zero
    private var gate: Instant?
    private var accepted = 0

    /// Returns how many more texts may be sent if so many aren't acknowledged.
    func room(unacknowledged: Int) -> Int { max(0, limit - unacknowledged) }

    /// Returns when the next text may be sent; nil: now.
    func wait(now: Instant) -> Instant? { gate.flatMap { $0 > now ? $0 : nil } }

    mutating func sent(now: Instant) {
        if interval > .zero { gate = now.advanced(by: interval) }
    }

    /// Records that no text waits to be sent.
    mutating func drained() { interval = .zero }

    mutating func textAccepted() {
        guard interval > .zero else { return limit = min(Self.window, limit * 2) }
        accepted += 1
        guard accepted >= Self.probeAfter else { return }
        accepted = 0
        interval = interval > Self.shortest ? interval / 2 : .zero
    }

    /// Pauses after a rejection. Then one text at a time is sent.
    ///
    /// - Parameter keepsDistance: whether further texts keep the delay as their distance, because the rate was too high
    mutating func rejected(delay: Duration, keepsDistance: Bool, now: Instant) {
        (limit, accepted) = (1, 0)
        gate = max(gate ?? now, now.advanced(by: delay))
        if keepsDistance { interval = max(interval, delay) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Pings, the round-trip time with its jitter, and the detection of dead connections.
struct Health: Sendable {
    enum Check: Equatable {
        case nothing, ping
        /// Two consecutive pongs are missing: the connection is dead.
        case dead
    }

    private struct Pending {
        var id: String
        var sentAt: Instant
        var deadline: Instant
    }

    static let intervals = Duration.seconds(1)...Duration.seconds(60)
    static let pongTimeout = Duration.seconds(5)
    /// The longest interval while a response is awaited, so that a dead connection is noticed sooner.
    static let busyInterval = Duration.seconds(5)
    private static let slowRoundTrip = 1500.0
    private static let unsteadyJitter = 500.0

    /// Milliseconds; nil before the first pong.
    private(set) var roundTrip: Double?
    /// Milliseconds, smoothed as in RFC 3550 §6.4.1 with round trips in place of transit times.
    private(set) var jitter = 0.0
    private(set) var lostPongs = 0
    private var interval = Duration.seconds(30)
    private var missing = 0
    private var number = 0
    private var next: Instant?
    private var pending: Pending?

    /// When ``check(now:)`` must be called next; nil while there is no connection.
    var due: Instant? { pending?.deadline ?? next }

    var isSlow: Bool { (roundTrip ?? 0) > Self.slowRoundTrip || jitter > Self.unsteadyJitter }

    /// Starts on a new connection. The first ping follows after at most a second, to measure the round trip early.
    mutating func begin(interval: Duration, now: Instant) {
        self.interval = min(max(interval, Self.intervals.lowerBound), Self.intervals.upperBound)
        (missing, pending) = (0, nil)
        next = now.advanced(by: min(.seconds(1), self.interval))
    }

    mutating func end() { (next, pending) = (nil, nil) }

    mutating func check(now: Instant) -> Check {
        guard let pending else { return next.map { $0 <= now } == true ? .ping : .nothing }
        guard pending.deadline <= now else { return .nothing }
        lostPongs += 1
        missing += 1
        self.pending = nil
        return missing >= 2 ? .dead : .ping
    }

    /// Records a ping.
    ///
    /// - Returns: its id
    mutating func ping(now: Instant, isBusy: Bool) -> String {
        number &+= 1
        pending = Pending(id: "p\(number)", sentAt: now, deadline: now.advanced(by: min(Self.pongTimeout, interval)))
        next = now.advanced(by: isBusy ? min(interval, Self.busyInterval) : interval)
        return "p\(number)"
    }

    /// Records that a ping was replied to, if only with an error.
    ///
    /// - Returns: false if the id is of no pending ping
    mutating func answered(_ id: String?) -> Bool {
        guard let pending, pending.id == id else { return false }
        (self.pending, missing) = (nil, 0)
        return true
    }

    /// Postpones the deadline of a pong, because the program was stalled and the pong may wait to be read.
    mutating func extend(now: Instant) {
        if let deadline = pending?.deadline { pending?.deadline = max(deadline, now.advanced(by: .seconds(3))) }
    }

    /// Records a pong.
    ///
    /// - Returns: false if the pong isn't that of the pending ping
    mutating func pong(_ id: String?, now: Instant) -> Bool {
        guard let pending, pending.id == id else { return false }
        let time = Double((now - pending.sentAt).nanoseconds) / 1_000_000
        if let roundTrip { jitter += (abs(time - roundTrip) - jitter) / 16 }
        roundTrip = time
        return answered(id)
    }
}

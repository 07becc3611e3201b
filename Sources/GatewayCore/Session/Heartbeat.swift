// SPDX-License-Identifier: Apache-2.0

/// The liveness check of a connection: WebSocket pings, expected pongs, and the round-trip time.
///
/// Any received byte shows that the peer is alive. A missed pong is counted and triggers another ping; only silence for
/// `heartbeat.stale_after` closes the connection. RFC 6455 §5.5.2 and §5.5.3.
package struct Heartbeat: Sendable {
    package struct Policy: Sendable {
        package var interval: Int64
        package var timeout: Int64
        package var staleAfter: Int64

        package init(interval: Duration, timeout: Duration, staleAfter: Duration) {
            self.interval = interval.clampedNanoseconds
            self.timeout = timeout.clampedNanoseconds
            self.staleAfter = staleAfter.clampedNanoseconds
        }
    }

    package enum Action: Equatable, Sendable {
        case none
        /// Send a ping whose payload is this number, big-endian.
        case ping(payload: UInt64)
        /// Nothing was received for `heartbeat.stale_after`: close with 4001.
        case stale
    }

    package private(set) var lastReceived: Instant
    private var nextPing: Instant
    private var outstanding: (payload: UInt64, sentAt: Instant)?
    package private(set) var missed = 0
    /// Smoothed as in RFC 6298 §2: an eighth of each new sample. Nil before the first pong.
    package private(set) var smoothedNanoseconds: Int64?

    /// The last round-trip time; nil before the first pong.
    package private(set) var lastNanoseconds: Int64?

    /// Longer round trips are ignored: they indicate a suspended device or a clock jump, not the network.
    package static let outlier: Int64 = 30_000_000_000

    package init(now: Instant, policy: Policy) {
        lastReceived = now
        nextPing = now.advanced(byNanoseconds: policy.interval)
    }

    package mutating func receivedBytes(now: Instant) { lastReceived = now }

    /// Handles a pong. A pong that matches no outstanding ping is allowed (RFC 6455 §5.5.3) and ignored.
    ///
    /// - Returns: whether the pong was expected.
    package mutating func pong(payload: UInt64, now: Instant) -> Bool {
        guard let ping = outstanding, ping.payload == payload else { return false }
        outstanding = nil
        let sample = now.nanoseconds(since: ping.sentAt)
        guard sample >= 0, sample <= Self.outlier else { return true }
        lastNanoseconds = sample
        smoothedNanoseconds = smoothedNanoseconds.map { $0 + (sample - $0) / 8 } ?? sample
        return true
    }

    /// Returns the action that is due.
    ///
    /// - Parameter canPing: false while the socket is full: then only ``Action/stale`` is checked.
    package mutating func tick(now: Instant, policy: Policy, canPing: Bool = true) -> Action {
        if now.nanoseconds(since: lastReceived) >= policy.staleAfter { return .stale }
        guard canPing else { return .none }
        if let ping = outstanding {
            guard now.nanoseconds(since: ping.sentAt) >= policy.timeout else { return .none }
            missed += 1
        } else if now < nextPing {
            return .none
        }
        let payload = UInt64(bitPattern: now.nanoseconds)
        outstanding = (payload, now)
        nextPing = now.advanced(byNanoseconds: policy.interval)
        return .ping(payload: payload)
    }
}

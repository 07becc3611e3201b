// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The detection of a dead upstream on a shared WebSocket: an upstream that stops reading, doesn't complete a message, or doesn't reply to
/// pings.
///
/// Complete messages and pongs count as signs of life. The upstream's own pings and parts of a message don't, since a broken
/// upstream can send either forever.
struct SocketKeepalive {
    enum Liveness {
        case alive
        /// The connection has had no sign of life for ``maxSilence`` and has to be pinged.
        case silent
        case dead(CallFailure)
    }

    private var signs: UInt64 = 0
    private var silentSince: Instant?
    private var pingedAt: Instant?
    /// When the message that is still incomplete began.
    private var messageStartedAt: Instant?

    /// How long a connection may be without a sign of life before it is pinged, and how long the pong may take, in nanoseconds.
    static let maxSilence: Int64 = 10_000_000_000

    /// Checks the socket. To be called at each tick.
    ///
    /// - Parameter limit: maximum time without write progress, and for one incoming message, in nanoseconds
    mutating func check(at socket: UpstreamSocketHandler, limit: Int64, now: Instant) -> Liveness {
        guard !socket.isStuck(for: limit, at: now) else { return .dead(.stalled("the upstream stopped reading")) }
        if socket.signsOfLife != signs || silentSince == nil {
            signs = socket.signsOfLife
            (silentSince, pingedAt, messageStartedAt) = (now, nil, nil)
        }
        if socket.isWithinMessage {
            let since = messageStartedAt ?? now
            messageStartedAt = since
            if now.nanoseconds(since: since) >= limit { return .dead(.stalled("a message wasn't complete within between_bytes_timeout")) }
        } else {
            messageStartedAt = nil
        }
        if let pingedAt {
            return now.nanoseconds(since: pingedAt) >= Self.maxSilence ? .dead(.incompleteResponse("no reply to a ping")) : .alive
        }
        guard let silentSince, now.nanoseconds(since: silentSince) >= Self.maxSilence else { return .alive }
        pingedAt = now
        return .silent
    }
}

extension CallFailure {
    /// The failure of a connection that makes no progress in one direction.
    static func stalled(_ details: String) -> CallFailure {
        var failure = CallFailure.timeout(.awaiting)
        failure.details = details
        return failure
    }
}

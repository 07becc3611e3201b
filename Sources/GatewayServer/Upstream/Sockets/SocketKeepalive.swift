import GatewayCore

/// Detects a dead upstream on a shared WebSocket: one that stops reading, doesn't complete a message, or doesn't reply to pings.
///
/// Complete messages and pongs count as signs of life. The upstream's own pings and parts of a message don't: a broken upstream can send either
/// forever.
struct SocketKeepalive {
    enum Verdict {
        case alive
        /// The connection is idle and has to be pinged.
        case quiet
        case dead(CallFailure)
    }

    private var signs: UInt64 = 0
    private var quietSince: Instant?
    private var pingedAt: Instant?
    /// When the incomplete message began.
    private var withinSince: Instant?

    /// A connection without a sign of life for this long is pinged, and closed if no pong follows within the same time. In nanoseconds.
    static let quietTime: Int64 = 10_000_000_000

    /// Checks the socket. To be called at each tick.
    ///
    /// - Parameter limit: maximum time without write progress, and for one incoming message, in nanoseconds
    mutating func check(at socket: UpstreamSocketHandler, limit: Int64, now: Instant) -> Verdict {
        guard !socket.isStuck(for: limit, at: now) else { return .dead(.stalled("the upstream stopped reading")) }
        if socket.signsOfLife != signs || quietSince == nil {
            signs = socket.signsOfLife
            (quietSince, pingedAt, withinSince) = (now, nil, nil)
        }
        if socket.isWithinMessage {
            let since = withinSince ?? now
            withinSince = since
            if now.nanoseconds(since: since) >= limit { return .dead(.stalled("a message wasn't complete within between_bytes_timeout")) }
        } else {
            withinSince = nil
        }
        if let pingedAt {
            return now.nanoseconds(since: pingedAt) >= Self.quietTime ? .dead(.incompleteResponse("no reply to a ping")) : .alive
        }
        guard let quietSince, now.nanoseconds(since: quietSince) >= Self.quietTime else { return .alive }
        pingedAt = now
        return .quiet
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

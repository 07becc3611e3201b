import GatewayCore

/// Whether the upstream at the other end of a shared WebSocket still works: it reads, completes its messages, and answers pings.
///
/// Whole messages and answers to pings count. Its own pings, and parts of a message, don't: both can come without end from an upstream that does
/// nothing else.
struct SocketWatch {
    enum Verdict {
        case alive
        /// It is to be pinged.
        case quiet
        case dead(CallFailure)
    }

    private var signs: UInt64 = 0
    private var quietSince: Instant?
    private var pingedAt: Instant?
    /// Since when a message is incomplete.
    private var withinSince: Instant?

    /// Without a sign of life for so long, a connection is asked whether it is still there, and given up without an answer within as long.
    static let quietTime: Int64 = 10_000_000_000

    /// To be called at each tick.
    ///
    /// - Parameter limit: how long the socket may take no byte, and a message may take, in nanoseconds
    mutating func look(at socket: UpstreamSocketHandler, limit: Int64, now: Instant) -> Verdict {
        guard !socket.isStuck(for: limit, at: now) else { return .dead(.stalled("it reads nothing of what it is sent")) }
        if socket.signsOfLife != signs || quietSince == nil {
            signs = socket.signsOfLife
            (quietSince, pingedAt, withinSince) = (now, nil, nil)
        }
        if socket.isWithinMessage {
            let since = withinSince ?? now
            withinSince = since
            if now.nanoseconds(since: since) >= limit { return .dead(.stalled("a message isn't complete within between_bytes_timeout")) }
        } else {
            withinSince = nil
        }
        if let pingedAt {
            return now.nanoseconds(since: pingedAt) >= Self.quietTime ? .dead(.brokenOff("no answer to a ping")) : .alive
        }
        guard let quietSince, now.nanoseconds(since: quietSince) >= Self.quietTime else { return .alive }
        pingedAt = now
        return .quiet
    }
}

extension CallFailure {
    /// A connection that doesn't go on in one direction.
    static func stalled(_ details: String) -> CallFailure {
        var failure = CallFailure.timeout(.awaiting)
        failure.details = details
        return failure
    }
}

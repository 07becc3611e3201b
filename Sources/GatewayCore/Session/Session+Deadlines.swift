extension Session {
    /// How long before its end a session is announced to end: a tenth of its life, and at most this long.
    static let longestNotice = Instant.Duration.seconds(30)
    static let shortestNotice = Instant.Duration.seconds(1)

    /// Acts on what fell due: acknowledgements of audio, and the session's end. To be called every 100 ms or so.
    package mutating func tick(effects: inout Effects) {
        if let due = intake.acknowledgeDeadline, effects.now >= due, let stream = intake.stream {
            acknowledge(stream.id, chunks: stream.accepted, effects: &effects)
        }
        releaseHeldStatus(effects: &effects)
        if isExpired(at: effects.now) {
            end(.sessionExpired, source: .gateway, close: .sessionExpired, effects: &effects)
        } else {
            announceEnd(effects: &effects)
        }
    }

    /// Tells the client once that `sessions.ttl` is nearly over (protocol page, `goaway`).
    private mutating func announceEnd(effects: inout Effects) {
        guard !announcedEnd, policy.lifetime != .max else { return }
        let lifetime = Instant.Duration.nanoseconds(policy.lifetime)
        let left = lifetime - (effects.now - startedAt)
        guard left <= max(min(lifetime / 10, Self.longestNotice), Self.shortestNotice) else { return }
        announcedEnd = true
        goAway(reason: "session_expires", deadlineMilliseconds: left.milliseconds, effects: &effects)
    }

    /// Whether its time is over: `sessions.ttl`, `sessions.idle`, or without a connection `sessions.resume_window`.
    package func isExpired(at now: Instant) -> Bool {
        if let detachedAt, now.nanoseconds(since: detachedAt) >= policy.resumeWindow { return true }
        return (policy.lifetime != .max && now.nanoseconds(since: startedAt) >= policy.lifetime)
            || (policy.idle != .max && now.nanoseconds(since: lastMessageAt) >= policy.idle)
    }

    /// Asks the client to finish up and reconnect.
    package mutating func goAway(reason: StaticString, deadlineMilliseconds: Int64, effects: inout Effects) {
        counts.messagesOut &+= 1
        effects.reply(GoAwayMessage(reason: reason, deadlineMilliseconds: deadlineMilliseconds))
    }
}

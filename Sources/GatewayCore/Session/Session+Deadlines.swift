// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// The longest notice before a session expires. The notice is a tenth of `sessions.ttl`, but at least ``shortestNotice``.
    static let longestNotice = Instant.Duration.seconds(30)
    static let shortestNotice = Instant.Duration.seconds(1)

    /// Handles due deadlines: acknowledgements of audio, held playback progress, the session's end. Must be called about every 100 ms.
    package mutating func tick(effects: inout Effects) {
        if let due = audioInput.acknowledgeDeadline, effects.now >= due, let stream = audioInput.stream {
            acknowledge(stream.id, chunks: stream.accepted, effects: &effects)
        }
        releaseHeldStatus(effects: &effects)
        tickSupervision(effects: &effects)
        if isExpired(at: effects.now) {
            end(.sessionExpired, source: .gateway, close: .sessionExpired, effects: &effects)
        } else {
            announceExpiry(effects: &effects)
            tickToken(effects: &effects)
        }
    }

    /// Sends a `goaway` once, shortly before `sessions.ttl` ends the session (protocol page, `goaway`).
    private mutating func announceExpiry(effects: inout Effects) {
        guard !hasAnnouncedExpiry, policy.value.lifetime != .max else { return }
        let lifetime = Instant.Duration.nanoseconds(policy.value.lifetime)
        let remaining = lifetime - (effects.now - startedAt)
        guard remaining <= max(min(lifetime / 10, Self.longestNotice), Self.shortestNotice) else { return }
        hasAnnouncedExpiry = true
        goAway(reason: "session_expires", deadlineMilliseconds: remaining.milliseconds, effects: &effects)
    }

    /// Whether the session has reached `sessions.ttl`, `sessions.idle` or, while detached, `sessions.resume_window`.
    package func isExpired(at now: Instant) -> Bool {
        if let detachedAt, now.nanoseconds(since: detachedAt) >= policy.value.resumeWindow { return true }
        return (policy.value.lifetime != .max && now.nanoseconds(since: startedAt) >= policy.value.lifetime)
            || (policy.value.idle != .max && now.nanoseconds(since: lastMessageAt) >= policy.value.idle)
    }

    /// Asks the client to finish and reconnect.
    package mutating func goAway(reason: StaticString, deadlineMilliseconds: Int64, effects: inout Effects) {
        counts.messagesOut &+= 1
        effects.reply(GoAwayMessage(reason: reason, deadlineMilliseconds: deadlineMilliseconds))
    }
}

// SPDX-License-Identifier: Apache-2.0

extension Session {
    /// Detaches the session from its closed connection. Requests in flight continue, and their events are kept.
    package mutating func detach(now: Instant) {
        guard detachedAt == nil else { return }
        detachedAt = now
        changes &+= 1
        outbox.detach()
        deliveryMarks.removeAll()
        audioInput.suspend()
        memoryUsage.connection = MemoryUsage.Connection()
        roundTripNanoseconds = nil
        updateMemoryUsage()
    }

    /// Extends the resume window by `duration` nanoseconds.
    package mutating func postponeExpiry(byNanoseconds duration: Int64) {
        detachedAt = detachedAt?.advanced(byNanoseconds: duration)
    }

    /// Whether a client that has received everything up to `last` can belong to this session.
    package func canResume(after last: UInt64?) -> Bool { last.map { $0 <= outbox.lastSequence } ?? true }

    /// Attaches the session to a new connection. Messages after `last` wait for it, again or for the first time.
    ///
    /// - Parameters:
    ///   - last: a number for which ``canResume(after:)`` is true
    ///   - wall: Unix milliseconds
    /// - Returns: whether messages after `last` were dropped.
    package mutating func resume(after last: UInt64?, now: Instant, wall: Int64) -> Bool {
        if let detachedAt { admission.creditOutage(now - detachedAt) }
        detachedAt = nil
        changes &+= 1
        connectedAt = wall
        hasAnnouncedExpiry = false
        audioInput.suspend()
        if let last { turnLog.acknowledge(last, now: now) }
        let isLost = outbox.rewind(after: last)
        acknowledgePushes()
        return isLost
    }

    /// Marks the session as ended by the operator. An attached session ends when its connection closes.
    package mutating func endByOperator() { ending = ending ?? .closedByOperator }

    /// Handles an `ack`. It also confirms the resume token, which was in the first message on the connection.
    mutating func acknowledge(_ sequence: UInt64, now: Instant) {
        outbox.acknowledge(sequence)
        turnLog.acknowledge(sequence, now: now)
        if !pushes.isEmpty { acknowledgePushes() }
        if credentials.confirm() { changes &+= 1 }
    }

    /// Issues a resume token: in exchange for `token`, or the session's first if nil.
    package mutating func issue(_ successor: TokenHash, for token: TokenHash?) {
        credentials.issue(successor, for: token)
        changes &+= 1
    }

    /// Converts times to the clock of another event loop, which is ahead by `difference` nanoseconds, or behind if negative.
    package mutating func move(toClockAheadBy difference: Int64) {
        let difference = Instant.Duration.nanoseconds(difference)
        startedAt = startedAt + difference
        lastMessageAt = lastMessageAt + difference
        detachedAt = detachedAt.map { $0 + difference }
        inFlight.move(by: difference)
        turnLog.move(by: difference)
        audioInput.move(by: difference)
        deliveryMarks.move(by: difference)
        admission.move(by: difference)
        supervision?.move(by: difference)
    }
}

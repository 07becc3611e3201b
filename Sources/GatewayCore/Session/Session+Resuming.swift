extension Session {
    /// The connection is gone. What is in flight goes on, and what comes of it is kept.
    package mutating func detach(now: Instant) {
        guard detachedAt == nil else { return }
        detachedAt = now
        changes &+= 1
        outbox.detach()
        intake.suspend()
        ledger.connection = Ledger.Connection()
        roundTripNanoseconds = nil
        updateLedger()
    }

    /// The resume window stands still for a while.
    package mutating func postponeExpiry(byNanoseconds duration: Int64) {
        detachedAt = detachedAt?.advanced(byNanoseconds: duration)
    }

    /// Whether a client that has seen everything up to `last` can be this session's.
    package func canResume(after last: UInt64?) -> Bool { last.map { $0 <= outbox.lastSequence } ?? true }

    /// There is a new connection. Everything behind `last` is to be written to it.
    ///
    /// - Parameters:
    ///   - last: what ``canResume(after:)`` found possible
    ///   - wall: Unix milliseconds
    /// - Returns: whether something behind `last` is gone.
    package mutating func resume(after last: UInt64?, now: Instant, wall: Int64) -> Bool {
        if let detachedAt { admission.creditOutage(now - detachedAt) }
        detachedAt = nil
        changes &+= 1
        connectedAt = wall
        announcedEnd = false
        intake.suspend()
        return outbox.rewind(after: last)
    }

    /// It ends with its connection, or now if it has none.
    package mutating func endByOperator() { ending = ending ?? .closedByOperator }

    /// The client has everything up to `sequence`. It has said something on its new connection: so it has the token that came first on it.
    mutating func acknowledge(_ sequence: UInt64) {
        outbox.acknowledge(sequence)
        if credentials.confirm() { changes &+= 1 }
    }

    /// Another token is given out, for `token` or at the beginning.
    package mutating func issue(_ successor: TokenHash, for token: TokenHash?) {
        credentials.issue(successor, for: token)
        changes &+= 1
    }

    /// It goes to another event loop, whose clock is ahead by so many nanoseconds, or behind.
    package mutating func move(toClockAheadBy difference: Int64) {
        let difference = Instant.Duration.nanoseconds(difference)
        startedAt = startedAt + difference
        lastMessageAt = lastMessageAt + difference
        detachedAt = detachedAt.map { $0 + difference }
        inFlight.move(by: difference)
        intake.move(by: difference)
        admission.move(by: difference)
    }
}

package import GatewayCore
import Logging
import NIOCore

/// Connects a session of the core to its connection, while it has one, and to its upstream: performs the actions that the session returns.
///
/// Belongs to one event loop for good. A session that is resumed on another one gets a new driver there.
package final class SessionDriver {
    /// How the connection got the session.
    package enum Arrival {
        case new
        case newInstead(ResumeError)
        /// Resumed by a token, to be sent everything behind `last`.
        case resumed(by: TokenHash, after: UInt64?)
    }

    let loop: EventLoopState
    let sessions: LocalSessionTable
    var connection: Connection?
    var session: Session
    var arrival: Arrival
    var commits = CommitMarks()
    /// An operator wants nothing of the session kept.
    private var isErased = false
    /// Bytes that the event loop counts for the session.
    var accounted = 0

    var link: (any UpstreamLink)?
    /// The link leads out of the process.
    var isLinkRemote = false
    /// There was a reload since the link was made.
    var isLinkOutdated = false
    /// Events that the upstream may still send unasked.
    var demanded = 0
    var isDispatching = false
    var isDemandScheduled = false
    var coalescer: Coalescer
    var isReleaseScheduled = false

    /// A new session, without a connection so far.
    init(id: ULID, in sessions: LocalSessionTable, wall: Int64) {
        let loop = sessions.loop
        self.loop = loop
        self.sessions = sessions
        arrival = .new
        coalescer = Coalescer(window: loop.settings.coalesce.nanoseconds)
        session = Session(id: id, policy: loop.settings.session, global: loop.shared.global, now: loop.clock.now, wall: wall)
    }

    /// A session that comes from another event loop.
    init(receiving transfer: SessionTransfer, in sessions: LocalSessionTable) {
        let loop = sessions.loop
        self.loop = loop
        self.sessions = sessions
        arrival = .new
        coalescer = transfer.coalescer
        session = Session(id: transfer.session.id, policy: loop.settings.session, global: loop.shared.global, now: loop.clock.now, wall: 0)
        swap(&session, &transfer.session)
        session.move(toClockAheadBy: loop.clock.offset - transfer.clockOffset.nanoseconds)
        session.sharedPolicy = loop.settings.session
        link = transfer.link
        isLinkRemote = link?.isAtOnce == false
        demanded = transfer.demanded
        link?.move(to: self, on: loop.eventLoop)
    }

    /// A session from the store. Requests that were in flight are forwarded again.
    ///
    /// - Throws: when its records don't fit together.
    init(restoring stored: StoredSession, in sessions: LocalSessionTable) throws(RecordError) {
        let loop = sessions.loop
        self.loop = loop
        self.sessions = sessions
        arrival = .new
        coalescer = Coalescer(window: loop.settings.coalesce.nanoseconds)
        session = Session(
            id: stored.id, policy: loop.settings.session, global: loop.shared.global, now: loop.turn.now, wall: loop.turn.wall)
        try session.restore(stored, effects: &loop.turn)
    }

    /// Forwards the requests of a restored session. To be called in the turn in which it was restored.
    func resumeWork() {
        loop.shared.sessions.restore(
            session.id, of: session.client, tokens: session.credentials.tokens, isUnused: isUnused,
            waited: session.detachedAt.map { loop.turn.now - $0 } ?? .zero, loop: sessions.number)
        sessions.add(self)
        dispatch()
        settle()
    }

    var isAttached: Bool { connection != nil }
    /// Nothing was ever accepted in it: a client that resumes it misses nothing.
    var isUnused: Bool { session.remembered.count == 0 && session.outbox.lastSequence == 0 && session.inFlight.isEmpty }

    func apply(_ settings: GatewaySettings) {
        session.sharedPolicy = settings.session
        coalescer.window = settings.coalesce.nanoseconds
        // The next request may be for another chain.
        isLinkOutdated = link != nil
        replaceLink()
    }

    /// Sends the effects of a turn to the connection, or leaves them in the outbox.
    func flush() {
        if let connection { connection.socket?.flush() } else { settle() }
    }

    /// Ends a turn that no connection sees.
    func settle() {
        updateUpstreamMemory()
        session.enforceBudget(effects: &loop.turn)
        account()
        storeChanges()
        for error in loop.turn.incidents { loop.record(error, connection: nil, session: session.id) }
        loop.turn.clear()
        if let ending = session.ending { end(ending) } else { scheduleDemand() }
    }

    /// Reports a change of the session's ledger, which is up to date, to the event loop.
    func account() {
        let total = session.ledger.total
        guard total != accounted else { return }
        let change = total - accounted
        accounted = total
        loop.account(change)
    }

    /// Moves the deadline of a session that can't be resumed because the store takes nothing: that time isn't the client's fault.
    func postponeExpiry(by duration: Instant.Duration) { session.postponeExpiry(byNanoseconds: duration.nanoseconds) }

    /// Looks at the deadlines of a session without a connection.
    func tickDetached(now: Instant) {
        if session.isExpired(at: now) { end(.expired) }
    }

    /// Ends the session for an operator: its connection is closed with 4507.
    func endByOperator(keepsReport: Bool) {
        if !keepsReport { isErased = true }
        session.endByOperator()
        if let socket = connection?.socket {
            socket.close(Closing(code: .endedByOperator, reason: "ended by an operator"))
        } else {
            end(.closedByOperator, connection: connection)
        }
    }

    /// Ends the session, and cancels its requests.
    package func end(_ ending: SessionEnding, connection: Connection? = nil) {
        link?.close()
        link = nil
        sessions.remove(self)
        loop.shared.sessions.end(session.id)
        if loop.isStoring {
            loop.turn.batch?.end(session.id, tokens: session.credentials.tokens)
            loop.scheduleCommit()
        }
        // A session without messages and errors has nothing to report.
        if !isErased, !isUnused || session.counts.errors > 0 {
            var report = session.report(loop.settings.reportDepth)
            report.endedAt = LoopClock.wallMilliseconds()
            report.ending = ending
            loop.shared.archive.keep(report)
        }
        loop.log(
            "session ended", as: .sessionEnded, of: session.id, connection: connection?.id,
            [
                "reason": "\(ending.rawValue)", "messages_in": .stringConvertible(session.counts.messagesIn),
                "messages_out": .stringConvertible(session.counts.messagesOut), "errors": .stringConvertible(session.counts.errors),
            ])
    }
}

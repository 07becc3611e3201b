// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Logging
import NIOCore

/// Connects a session of the core to its connection, if attached, and to its upstream: performs the effects that the session returns.
///
/// Belongs to one event loop permanently. A session that is resumed on another loop gets a new driver there.
package final class SessionDriver {
    /// How the session was attached to its connection.
    package enum AttachmentKind {
        case new
        case newAfterFailedResume(ResumeError)
        /// Resumed by a token, after the last sequence number that the client received.
        case resumed(by: TokenHash, after: UInt64?)
    }

    let loop: EventLoopState
    let sessions: LocalSessionTable
    var connection: Connection?
    var session: Session
    var attachmentKind: AttachmentKind
    var commits = CommitMarks()
    /// Whether an operator erased the session: no report is kept.
    private var isErased = false
    /// The memory usage that the event loop counts for the session, in bytes.
    var accounted = 0

    var link: (any UpstreamLink)?
    /// Whether the upstream is outside the process.
    var isLinkRemote = false
    /// Whether the configuration was reloaded since the link was created.
    var isLinkOutdated = false
    /// The outstanding demand, in events.
    var demanded = 0
    var isDispatching = false
    var isDemandScheduled = false
    var coalescer: Coalescer
    var isReleaseScheduled = false
    /// The taps of operators, usually none.
    var taps: [SessionTap] = []

    /// Creates a new session, not yet attached.
    init(id: ULID, in sessions: LocalSessionTable, wall: Int64) {
        let loop = sessions.loop
        self.loop = loop
        self.sessions = sessions
        attachmentKind = .new
        coalescer = Coalescer(window: loop.settings.coalesce.nanoseconds)
        session = Session(id: id, policy: loop.settings.session, global: loop.shared.global, now: loop.clock.now, wall: wall)
    }

    /// Receives a session from another event loop.
    init(receiving transfer: SessionTransfer, in sessions: LocalSessionTable) {
        let loop = sessions.loop
        self.loop = loop
        self.sessions = sessions
        attachmentKind = .new
        coalescer = transfer.coalescer
        session = Session(id: transfer.session.id, policy: loop.settings.session, global: loop.shared.global, now: loop.clock.now, wall: 0)
        swap(&session, &transfer.session)
        session.move(toClockAheadBy: loop.clock.offset - transfer.clockOffset.nanoseconds)
        session.sharedPolicy = loop.settings.session
        link = transfer.link
        isLinkRemote = link?.isSynchronous == false
        demanded = transfer.demanded
        taps = transfer.taps
        link?.move(to: self, on: loop.eventLoop)
    }

    /// Restores a session from the store. ``resumeRequests()`` forwards its requests in flight again.
    ///
    /// - Parameter handover: what the records lack, if another node had the session until now
    /// - Throws: if its records are inconsistent.
    init(restoring stored: StoredSession, handover: [UInt8]? = nil, in sessions: LocalSessionTable) throws(RecordError) {
        let loop = sessions.loop
        self.loop = loop
        self.sessions = sessions
        attachmentKind = .new
        coalescer = Coalescer(window: loop.settings.coalesce.nanoseconds)
        session = Session(
            id: stored.id, policy: loop.settings.session, global: loop.shared.global, now: loop.effects.now, wall: loop.effects.wall)
        try session.restore(stored, handover: handover, effects: &loop.effects)
        assign(user: session.user)
    }

    /// Registers a restored session and forwards its requests in flight. Must be called in the same input as the restoring initializer.
    func resumeRequests() {
        loop.shared.sessions.restore(
            session.id, of: session.client, tokens: session.credentials.tokens, isUnused: isUnused,
            detachedDuration: session.detachedAt.map { loop.effects.now - $0 } ?? .zero, loop: sessions.number)
        sessions.add(self)
        dispatch()
        finishInput()
    }

    var isAttached: Bool { connection != nil }
    /// Whether the session never accepted a message: a client that resumes it would miss nothing.
    var isUnused: Bool { session.recentIDs.count == 0 && session.outbox.lastSequence == 0 && session.inFlight.isEmpty }

    func apply(_ settings: GatewaySettings) {
        session.sharedPolicy = settings.session
        coalescer.window = settings.coalesce.nanoseconds
        // The next request may be routed to another chain.
        isLinkOutdated = link != nil
        replaceLink()
    }

    /// Assigns the session to a user.
    ///
    /// - Parameters:
    ///   - user: nil for a session without a user, whose usage isn't counted
    ///   - claims: the quotas of the user's token, which replace configured ones
    package func assign(user: String?, quotas claims: [ParleyClaims.QuotaClaim] = []) {
        let wall = LoopClock.wallMilliseconds()
        var limits: [Quota: Double] = [:]
        for claim in claims { if let quota = Quota(name: claim.name) { limits[quota] = claim.value } }
        if sessions[session.id] === self { sessions.registerUser(of: self) }
        session.setAccount(user.map { loop.shared.usage.account(of: $0, wall: wall) }, claims: limits)
    }

    /// Sends the effects of the input to the connection; a detached session keeps them in its outbox.
    func flush() {
        if let connection { connection.socket?.flush() } else { finishInput() }
    }

    /// Finishes an input of a detached session.
    func finishInput() {
        updateUpstreamMemory()
        session.enforceBudget(effects: &loop.effects)
        account()
        storeChanges()
        for error in loop.effects.incidents {
            loop.record(error, connection: nil, session: session.id)
            loop.audit(error, of: nil, session: session.id, user: session.user)
        }
        loop.effects.clear()
        if let ending = session.ending { end(ending) } else { scheduleDemand() }
    }

    /// Reports a change of the session's memory usage to the event loop.
    func account() {
        let total = session.memoryUsage.total
        guard total != accounted else { return }
        let change = total - accounted
        accounted = total
        loop.account(change)
    }

    /// Postpones the expiry of a session that can't be resumed during an outage of the store.
    func postponeExpiry(by duration: Instant.Duration) { session.postponeExpiry(byNanoseconds: duration.nanoseconds) }

    /// Checks the expiry of a detached session.
    func tickDetached(now: Instant) {
        if session.isExpired(at: now) { end(.expired) }
    }

    /// Ends the session on behalf of an operator: its connection is closed with 4507.
    func endByOperator(keepsReport: Bool) {
        if !keepsReport { isErased = true }
        session.endByOperator()
        if let socket = connection?.socket {
            socket.close(Closing(code: .endedByOperator, reason: "ended by an operator"))
        } else {
            end(.closedByOperator, connection: connection)
        }
    }

    /// Ends the session and cancels its requests.
    package func end(_ ending: SessionEnding, connection: Connection? = nil) {
        loop.metrics.endings.add(ending)
        link?.close()
        link = nil
        endTaps()
        let failed = session.takePushes()
        if !isErased { list(failed) }
        session.recordUsage(effects: &loop.effects)
        sessions.remove(self)
        loop.shared.sessions.end(session.id)
        if loop.isStoring {
            loop.effects.batch?.end(session.id, tokens: session.credentials.tokens)
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

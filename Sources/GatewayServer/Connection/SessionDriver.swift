import DequeModule
package import GatewayCore
import Logging
package import NIOCore

/// Joins a session of the core to its connection, while it has one, and to its upstream: performs the actions that the session's turns
/// come to.
///
/// Belongs to one event loop for good. A session that is resumed on another one gets a new driver there.
package final class SessionDriver: WebSocketApplication, UpstreamReceiver {
    /// How its connection has come by the session.
    enum Arrival {
        case new
        case newInstead(ResumeError)
        /// By a token, to hear everything behind `last`.
        case resumed(by: TokenHash, after: UInt64?)
    }

    let loop: LoopContext
    private(set) var connection: Connection?
    var session: Session
    private var arrival: Arrival
    var link: (any UpstreamLink)?
    /// The link leads out of the process.
    private var isLinked: Bool { link?.isAtOnce == false }
    /// Events that the upstream may still send unasked.
    var demanded = 0
    var isDispatching = false
    var isContinuing = false
    /// Tickets that aren't committed, the oldest first, each with the sequence number and the count of accepted messages that it makes durable.
    private var marks: Deque<(ticket: UInt64, sequence: UInt64, accepted: UInt64)> = []
    /// Up to here what is sequenced may be told while ``marks`` aren't empty.
    private var durable: UInt64 = 0
    /// The ticket that the `session` message waits for; nothing else goes before it.
    private var greeting: UInt64?
    /// An operator wants nothing of it kept.
    private var isErased = false
    var coalescer: Coalescer
    var isReleasing = false
    /// There was a reload since it was made.
    var isLinkOutdated = false
    /// Bytes that the event loop counts for the session.
    var accounted = 0

    /// Events asked for at a time.
    static let demandSize = 64

    /// A new session, without a connection so far.
    init(id: ULID, loop: LoopContext, wall: Int64) {
        self.loop = loop
        arrival = .new
        coalescer = Coalescer(window: loop.settings.coalesce)
        session = Session(id: id, policy: loop.settings.session, global: loop.shared.global, now: loop.clock.now, wall: wall)
    }

    /// Takes a session over from the driver of another event loop, which is of no use afterwards.
    ///
    /// - Parameter difference: nanoseconds by which this loop's clock is ahead
    init(moving other: SessionDriver, to loop: LoopContext, clockAheadBy difference: Int64) {
        self.loop = loop
        arrival = other.arrival
        coalescer = other.coalescer
        session = Session(id: other.session.id, policy: loop.settings.session, global: loop.shared.global, now: loop.clock.now, wall: 0)
        swap(&session, &other.session)
        session.move(toClockAheadBy: difference)
        session.sharedPolicy = loop.settings.session
        link = other.link
        other.link = nil
        demanded = other.demanded
        link?.move(to: self, on: loop.eventLoop)
    }

    /// A session that the store has kept. What was in flight is forwarded again.
    ///
    /// - Throws: when its records don't fit together.
    init(restoring stored: StoredSession, loop: LoopContext) throws(RecordError) {
        self.loop = loop
        arrival = .new
        coalescer = Coalescer(window: loop.settings.coalesce)
        session = Session(
            id: stored.id, policy: loop.settings.session, global: loop.shared.global, now: loop.turn.now, wall: loop.turn.wall)
        try session.restore(stored, effects: &loop.turn)
    }

    /// To be called in the turn in which it was restored.
    func goOn() {
        loop.shared.sessions.restore(
            session.id, of: session.client, tokens: session.credentials.tokens, isUnused: isUnused,
            waited: session.detachedAt.map { loop.turn.now.nanoseconds(since: $0) } ?? 0, loop: loop.number)
        loop.add(self)
        dispatch()
        settle()
    }

    package var hasSession: Bool { true }
    package var hasWaiting: Bool { session.hasWaiting }
    var memoryBytes: Int { session.ledger.total }
    var isAttached: Bool { connection != nil }
    /// Nothing was ever accepted in it: whoever comes back to it misses nothing.
    var isUnused: Bool { session.remembered.count == 0 && session.outbox.lastSequence == 0 && session.inFlight.isEmpty }

    /// The session has a connection, whose first message ``open()`` will be.
    func attach(to connection: Connection, as arrival: Arrival) {
        self.connection = connection
        self.arrival = arrival
        connection.sessionID = session.id
        session.path = connection.path
        let now = Instant(nanoseconds: loop.clock.manual ?? LoopClock.monotonicNanoseconds())
        let client = connection.client.key
        session.assign(to: client, limiters: loop.shared.limiters.limiters(of: client, now: now))
    }

    package func open() {
        let beginning: Session.Beginning
        var presented: TokenHash?
        var occurrence = Timeline.Occurrence.connected
        switch arrival {
        case .new: beginning = .new
        case .newInstead(let error): beginning = .newInstead(error)
        case .resumed(let token, let last):
            presented = token
            let isLost = session.resume(after: last, now: loop.turn.now, wall: loop.turn.wall)
            beginning = .resumed(isLost: isLost)
            occurrence = .resumed(isLost: isLost)
            loop.log("session resumed", as: .sessionResumed, of: session.id, connection: connection, ["lost": "\(isLost)"])
        }
        session.note(occurrence, of: connection?.id, wall: loop.turn.wall)
        let token = ResumeToken()
        session.issue(token.hash, for: presented)
        loop.shared.sessions.issue(session.credentials.tokens, for: session.id)
        session.open(beginning, token: token.text, effects: &loop.turn)
        prepare()
        greeting = awaited
    }

    package func receive(text: RawSpan) {
        session.receive(text: text, scanner: &loop.scanner, effects: &loop.turn)
        dispatch()
    }

    package func receive(binary: RawSpan) {
        session.receive(binary: binary, effects: &loop.turn)
        dispatch()
    }

    package func admitsControlFrame(of byteCount: Int) -> Bool {
        session.admitsControlFrame(of: byteCount, effects: &loop.turn)
    }

    package var isOverBytes: Bool { session.isOverBytes(effects: loop.turn) }

    package var takesBinary: Bool { session.takesBinary }

    package func refuseSkipped(_ kind: MessageKind) {
        session.refuseSkipped(isBinary: kind == .binary, effects: &loop.turn)
    }

    package func chargeOverhead(of byteCount: Int) { session.chargeOverhead(of: byteCount, effects: &loop.turn) }

    package func prepare() {
        guard loop.isStoring, session.isUnstored else { return }
        session.store(effects: &loop.turn)
        let ticket = loop.awaitCommit(self)
        if marks.last?.ticket == ticket { marks.removeLast() }
        marks.append((ticket, session.outbox.lastSequence, session.acceptedCount))
    }

    package var awaited: UInt64? { marks.last?.ticket }

    package var isGreeted: Bool { greeting == nil }

    package var replyDelay: Int64? { isLinked && loop.turn.promisesOnly ? session.acknowledgementDelay : nil }

    /// The store has everything up to `ticket`.
    func stored(_ ticket: UInt64) {
        while let mark = marks.first, mark.ticket <= ticket {
            durable = mark.sequence
            session.keep(first: mark.accepted)
            marks.removeFirst()
        }
        if let greeting, greeting <= ticket { self.greeting = nil }
        connection?.socket?.release(upTo: ticket)
    }

    /// A commit with something of this session has failed, and is tried again. Without a connection there is nobody to tell: a client that
    /// comes back sends what wasn't acknowledged again.
    func notStored() { connection?.socket?.commitFailed() }

    package func refuseUnkept() -> Set<RequestKey> {
        let refused = session.refuseUnkept(effects: &loop.turn)
        dispatch()
        return refused
    }

    package func write(to output: inout ByteBuffer, writer: inout MessageWriter) {
        guard let connection, greeting == nil else { return }
        let full = WebSocketHandler<SessionDriver>.writeSize
        session.outbox.drain(upTo: marks.isEmpty ? .max : durable) { message, kind in
            guard output.readableBytes < full else { return false }
            let isBinary = kind == .binary
            writer.write(isBinary ? .binary : .text, message, mayCompress: !isBinary, to: &output)
            connection.messagesOut &+= 1
            loop.counters.messagesOut &+= 1
            return true
        }
    }

    package func written() {
        weigh()
        session.enforceBudget(effects: &loop.turn)
        account()
        wantHelping()
    }

    package func tick() {
        session.tick(effects: &loop.turn)
        dispatch()
    }

    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {
        session.goAway(reason: reason, deadlineMilliseconds: deadlineMilliseconds, effects: &loop.turn)
    }

    package func fail(_ code: ErrorCode, source: GatewayError.Source, _ message: String, close: CloseCode) {
        session.end(code, source: source, message, close: close, effects: &loop.turn)
    }

    package func update(_ footprint: Ledger.Connection, roundTrip: Int64?) {
        session.ledger.connection = footprint
        session.roundTripNanoseconds = roundTrip
    }

    func relieve() {
        session.relieve()
        account()
    }

    func apply(_ settings: GatewaySettings) {
        session.sharedPolicy = settings.session
        coalescer.window = settings.coalesce
        // What the next request goes by may be another plan.
        isLinkOutdated = link != nil
        replaceLink()
    }

    /// Lets go of an outdated link when nothing is under way on it.
    func replaceLink() {
        guard isLinkOutdated, session.inFlight.isEmpty else { return }
        isLinkOutdated = false
        link?.close()
        link = nil
        demanded = 0
    }

    /// It is about to go to another event loop.
    func leaveLoop() {
        let begun = loop.beginTurn()
        coalescer.release(at: loop.turn.now, all: true) { session.receive($0, effects: &loop.turn) }
        settle()
        if begun { loop.endTurn() }
        link?.leave()
    }

    // MARK: Without a connection

    package func disconnected() {
        guard let connection else { return }
        self.connection = nil
        count(connection)
        session.note(.detached(connection.closeCode), of: connection.id, wall: LoopClock.wallMilliseconds())
        if let ending = session.ending { return end(ending, connection: connection) }
        detach()
        loop.log("session detached", as: .sessionDetached, of: session.id, connection: connection)
        stayDetached()
    }

    /// Another connection gets the session: the one it has is closed.
    func leaveConnection() {
        guard let connection else { return }
        self.connection = nil
        count(connection)
        session.note(.takenOver, of: connection.id, wall: LoopClock.wallMilliseconds())
        connection.socket?.retire(Closing(code: .takenOver, reason: "taken over by another connection"))
        detach()
    }

    private func count(_ connection: Connection) {
        session.counts.bytesIn &+= connection.bytesIn
        session.counts.bytesOut &+= connection.bytesOut
    }

    /// Has the session wait to be resumed. Its connection was lost, or the connection that wanted it was.
    func stayDetached() {
        account()
        loop.displace(loop.shared.sessions.detach(session.id, isUnused: isUnused))
        wantHelping()
    }

    private func detach() {
        session.detach(now: loop.clock.now)
        let begun = loop.beginTurn()
        prepare()
        if begun { loop.endTurn() }
        guard let link else { return }
        // A full outbox asks for nothing more.
        demanded = max(0, demanded - link.withdraw())
        guard session.inFlight.isEmpty else { return }
        link.close()
        self.link = nil
        demanded = 0
    }

    /// The end of a turn that no connection sees.
    func settle() {
        weigh()
        session.enforceBudget(effects: &loop.turn)
        account()
        prepare()
        for error in loop.turn.incidents { loop.record(error, connection: nil, session: session.id) }
        loop.turn.clear()
        if let ending = session.ending { end(ending) } else { wantHelping() }
    }

    /// It can't be resumed at the moment, because the store takes nothing: that time isn't the client's fault.
    func postponeExpiry(byNanoseconds duration: Int64) { session.postponeExpiry(byNanoseconds: duration) }

    /// Looks at the deadlines of a session without a connection.
    func tickDetached(now: Instant) {
        if session.isExpired(at: now) { end(.expired) }
    }

    /// An operator ends it: its connection is closed with 4507.
    func endByOperator(keepsReport: Bool) {
        if !keepsReport { isErased = true }
        session.endByOperator()
        if let socket = connection?.socket {
            socket.close(Closing(code: .endedByOperator, reason: "ended by an operator"))
        } else {
            end(.closedByOperator, connection: connection)
        }
    }

    /// The session is over, and what is in flight with it.
    func end(_ ending: SessionEnding, connection: Connection? = nil) {
        link?.close()
        link = nil
        loop.remove(self)
        loop.shared.sessions.end(session.id)
        if loop.isStoring {
            loop.turn.batch?.end(session.id, tokens: session.credentials.tokens)
            loop.scheduleCommit()
        }
        // Who only came and went has left nothing to report.
        if !isErased, !isUnused || session.counts.errors > 0 {
            var report = report(loop.settings.reportDepth)
            report.endedAt = LoopClock.wallMilliseconds()
            report.ending = ending
            loop.shared.archive.keep(report)
        }
        loop.log(
            "session ended", as: .sessionEnded, of: session.id, connection: connection,
            [
                "reason": "\(ending.rawValue)", "messages_in": .stringConvertible(session.counts.messagesIn),
                "messages_out": .stringConvertible(session.counts.messagesOut), "errors": .stringConvertible(session.counts.errors),
            ])
    }

    /// What can be told of it now.
    func report(_ depth: ReportDepth) -> SessionReport {
        session.report(depth)
    }
}

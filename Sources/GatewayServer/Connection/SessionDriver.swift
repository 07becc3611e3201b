package import GatewayCore
package import NIOCore

/// Joins a session of the core to its connection and its upstream: performs the actions that the session's turns come to.
package final class SessionDriver: WebSocketApplication, UpstreamReceiver {
    private let loop: LoopContext
    private let connection: Connection
    private(set) var session: Session
    private let resumeError: StaticString?
    private var link: (any UpstreamLink)?
    /// Events that the upstream may still send unasked.
    private var demanded = 0
    private var isDispatching = false
    private var isContinuing = false

    /// Events asked for at a time.
    private static let demandSize = 64

    /// - Parameter resumeError: why the presented resume credential doesn't count; nil when none was presented
    package init(loop: LoopContext, connection: Connection, resumeError: StaticString?) {
        self.loop = loop
        self.connection = connection
        self.resumeError = resumeError
        let wall = LoopClock.wallMilliseconds()
        let id = loop.turn.ids.ulid(at: wall)
        session = Session(id: id, policy: loop.settings.session, global: loop.shared.global, now: loop.clock.now, wall: wall)
        connection.sessionID = id
    }

    package var hasSession: Bool { true }
    package var hasWaiting: Bool { session.hasWaiting }
    package var memoryBytes: Int { session.ledger.total }

    package func open() {
        session.open(token: ResumeToken.make(), resumeError: resumeError, turn: &loop.turn)
    }

    package func receive(text: RawSpan) {
        session.receive(text: text, scanner: &loop.scanner, turn: &loop.turn)
        dispatch()
    }

    package func receive(binary: RawSpan) {
        session.receive(binary: binary, turn: &loop.turn)
        dispatch()
    }

    package func admitsControlFrame(of byteCount: Int) -> Bool {
        session.admitsControlFrame(of: byteCount, turn: &loop.turn)
    }

    package func chargeOverhead(of byteCount: Int) { session.chargeOverhead(of: byteCount, turn: &loop.turn) }

    /// Performs the commands of the turn. The upstream may answer at once, from inside.
    private func dispatch() {
        guard !isDispatching, !loop.turn.commands.isEmpty else { return }
        isDispatching = true
        defer { isDispatching = false }
        let link = link ?? makeLink()
        var index = 0
        while index < loop.turn.commands.count {
            link.send(loop.turn.commands[index], audio: loop.turn.audio)
            index += 1
        }
        loop.turn.clearCommands()
    }

    private func makeLink() -> any UpstreamLink {
        let made = loop.shared.upstream.makeLink(for: self)
        link = made
        demanded = Self.demandSize
        made.demand(demanded)
        return made
    }

    package func receive(_ event: consuming UpstreamEvent) {
        demanded = max(0, demanded - 1)
        guard loop.isInTurn else {
            let begun = loop.beginTurn()
            session.receive(event, turn: &loop.turn)
            connection.socket?.flush()
            if begun { loop.endTurn() }
            return
        }
        session.receive(event, turn: &loop.turn)
    }

    package func took(_ bytes: Int) { session.upstreamTook(bytes) }

    package func write(to output: inout ByteBuffer, writer: inout MessageWriter) {
        let full = WebSocketHandler<SessionDriver>.writeSize
        session.outbox.drain { message, kind in
            guard output.readableBytes < full else { return false }
            writer.write(kind == .json ? .text : .binary, message, mayCompress: kind == .json, to: &output)
            connection.messagesOut &+= 1
            loop.counters.messagesOut &+= 1
            return true
        }
    }

    package func written() {
        session.enforceBudget(turn: &loop.turn)
        guard link != nil, demanded <= Self.demandSize / 2, session.wantsMore(socketQueueBytes: loop.settings.socketQueueBytes) else {
            return
        }
        guard !isContinuing else { return }
        isContinuing = true
        loop.helpings.append(self)
    }

    /// Lets the upstream go on, in a turn of its own.
    func help() {
        isContinuing = false
        guard let link, let socket = connection.socket else { return }
        let begun = loop.beginTurn()
        let missing = Self.demandSize - demanded
        demanded += missing
        link.demand(missing)
        socket.flush()
        if begun { loop.endTurn() }
    }

    package func tick() {
        session.tick(turn: &loop.turn)
        dispatch()
    }

    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {
        session.goAway(reason: reason, deadlineMilliseconds: deadlineMilliseconds, turn: &loop.turn)
    }

    package func fail(_ code: ErrorCode, source: GatewayError.Source, _ message: String, close: CloseCode) {
        session.end(code, source: source, message, close: close, turn: &loop.turn)
    }

    package func update(_ footprint: Ledger.Connection, roundTrip: Int64?) {
        session.ledger.connection = footprint
        session.roundTripNanoseconds = roundTrip
    }

    package func relieve() { session.relieve() }

    package func apply(_ settings: GatewaySettings) { session.policy = settings.session }

    package func close() {
        link?.close()
        link = nil
    }
}

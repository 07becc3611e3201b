package import GatewayCore
package import GatewayWebSocket
import Logging
package import NIOCore

/// The session as the application of a WebSocket.
extension SessionDriver: WebSocketApplication {
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
            loop.log("session resumed", as: .sessionResumed, of: session.id, connection: connection?.id, ["lost": "\(isLost)"])
        }
        session.note(occurrence, of: connection?.id, wall: loop.turn.wall)
        let token = ResumeToken()
        session.issue(token.hash, for: presented)
        loop.shared.sessions.issue(session.credentials.tokens, for: session.id)
        session.open(beginning, token: token.text, effects: &loop.turn)
        storeChanges()
        commits.greet()
    }

    // MARK: Reading

    package var reading: ReadingPermission {
        ReadingPermission(skipsCompressed: session.isOverBytes(effects: loop.turn), skipsCompressedBinary: !session.takesBinary)
    }

    package func receive(_ kind: MessageKind, _ payload: RawSpan, overhead: Int) {
        if overhead > 0 { session.chargeOverhead(of: overhead, effects: &loop.turn) }
        switch kind {
        case .text: session.receive(text: payload, scanner: &loop.scanner, effects: &loop.turn)
        case .binary: session.receive(binary: payload, effects: &loop.turn)
        }
        dispatch()
    }

    package func refuseSkipped(_ kind: MessageKind) {
        session.refuseSkipped(isBinary: kind == .binary, effects: &loop.turn)
    }

    package func admitsControlFrame(of byteCount: Int) -> Bool {
        session.admitsControlFrame(of: byteCount, effects: &loop.turn)
    }

    // MARK: Writing

    package func prepareToWrite() -> WritingState {
        storeChanges()
        var writing = WritingState()
        writing.awaitedTicket = commits.awaited
        writing.isGreeted = commits.isGreeted
        if isLinkRemote, link != nil, loop.turn.promisesOnly {
            writing.replyDelay = session.acknowledgementDelay.map(Instant.Duration.nanoseconds)
        }
        return writing
    }

    package func write(to output: inout ByteBuffer, writer: inout MessageWriter) {
        guard let connection, let last = commits.sendable else { return }
        session.outbox.drain(upTo: last) { message, kind in
            guard output.readableBytes < Self.writeSize else { return false }
            let isBinary = kind == .binary
            writer.write(isBinary ? .binary : .text, message, mayCompress: !isBinary, to: &output)
            connection.messagesOut &+= 1
            loop.counters.messagesOut &+= 1
            return true
        }
    }

    package func written(_ report: ConnectionReport?) -> Bool {
        if let report {
            session.ledger.connection = report.memory
            session.roundTripNanoseconds = report.roundTripNanoseconds
        }
        updateUpstreamMemory()
        session.enforceBudget(effects: &loop.turn)
        account()
        scheduleDemand()
        return session.hasWaiting
    }

    // MARK: Events

    package func commitFailed() -> Set<RequestKey>? {
        guard commits.isGreeted else {
            fail(.storeUnavailable, source: .gateway, close: .tryAgainLater)
            return nil
        }
        let refused = session.refuseUnkept(effects: &loop.turn)
        dispatch()
        return refused
    }

    package func tick() -> Bool {
        session.tick(effects: &loop.turn)
        dispatch()
        return true
    }

    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {
        session.goAway(reason: reason, deadlineMilliseconds: deadlineMilliseconds, effects: &loop.turn)
    }

    package func fail(_ reason: ErrorReason, source: GatewayError.Source, close: CloseCode) {
        session.end(reason, source: source, close: close, effects: &loop.turn)
    }
}

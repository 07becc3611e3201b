// SPDX-License-Identifier: Apache-2.0

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
        switch attachmentKind {
        case .new: beginning = .new
        case .newAfterFailedResume(let error):
            beginning = .newAfterFailedResume(error)
            loop.metrics.resumes.add(ResumeOutcome(error))
        case .resumed(let token, let last):
            presented = token
            let isLost = session.resume(after: last, now: loop.effects.now, wall: loop.effects.wall)
            beginning = .resumed(isLost: isLost)
            if isLost { list(session.takeLostPushes()) }
            occurrence = .resumed(isLost: isLost)
            loop.metrics.resumes.add(isLost ? .resumedWithLoss : .resumed)
            loop.audit(.resume, of: connection, [.init("lost", .flag(isLost))])
            loop.log("session resumed", as: .sessionResumed, of: session.id, connection: connection?.id, ["lost": "\(isLost)"])
        }
        session.note(occurrence, of: connection?.id, wall: loop.effects.wall)
        let token = ResumeToken()
        session.issue(token.hash, for: presented)
        loop.shared.sessions.issue(session.credentials.tokens, for: session.id)
        session.open(beginning, token: token.text, effects: &loop.effects)
        storeChanges()
        commits.holdSessionMessage()
    }

    // MARK: Reading

    package var reading: ReadingPermission {
        ReadingPermission(skipsCompressed: session.isOverBytes(effects: loop.effects), skipsCompressedBinary: !session.acceptsBinary)
    }

    package func receive(_ kind: MessageKind, _ payload: RawSpan, overhead: Int) {
        if isTapped { tapInput(kind, payload) }
        if overhead > 0 { session.chargeOverhead(of: overhead, effects: &loop.effects) }
        switch kind {
        case .text:
            session.receive(text: payload, scanner: &loop.scanner, effects: &loop.effects)
            if loop.effects.renewal != nil { renewToken() }
        case .binary: session.receive(binary: payload, effects: &loop.effects)
        }
        dispatch()
    }

    package func rejectSkipped(_ kind: MessageKind) {
        session.rejectSkipped(isBinary: kind == .binary, effects: &loop.effects)
    }

    package func admitsControlFrame(of byteCount: Int) -> Bool {
        session.admitsControlFrame(of: byteCount, effects: &loop.effects)
    }

    // MARK: Writing

    package func prepareToWrite() -> WritingState {
        storeChanges()
        var writing = WritingState()
        writing.awaitedTicket = commits.awaited
        writing.isSessionMessageDurable = commits.isSessionMessageDurable
        if isLinkRemote, link != nil, loop.effects.awaitingCommitOnly {
            writing.replyDelay = session.acknowledgementDelay.map(Instant.Duration.nanoseconds)
        }
        return writing
    }

    package func write(to output: inout ByteBuffer, writer: inout MessageWriter) {
        guard let connection, let last = commits.sendable else { return }
        let isMeasured = session.drain(upTo: last) { message, tag in
            guard output.readableBytes < Self.writeSize else { return false }
            if isTapped { tapOutput(message, tag) }
            let isBinary = tag.kind == .binary
            writer.write(isBinary ? .binary : .text, message, mayCompress: !isBinary, to: &output)
            connection.messagesOut &+= 1
            loop.metrics.countSent(isBinary ? .audioChunk : OutboundMessageType(of: message))
            return true
        }
        if isMeasured { session.measureWritten(now: loop.clock.now, effects: &loop.effects) }
    }

    package func written(_ report: ConnectionReport?) -> Bool {
        if let report {
            session.memoryUsage.connection = report.memory
            session.roundTripNanoseconds = report.roundTripNanoseconds
        }
        updateUpstreamMemory()
        let hasWaiting = session.finishWrite(effects: &loop.effects)
        account()
        scheduleDemand()
        return hasWaiting
    }

    // MARK: Events

    package func commitFailed() -> Set<RequestKey>? {
        guard commits.isSessionMessageDurable else {
            fail(.storeUnavailable, source: .gateway, close: .tryAgainLater)
            return nil
        }
        let rejected = session.rejectUncommitted(effects: &loop.effects)
        dispatch()
        return rejected
    }

    package func tick() -> Bool {
        let idleOperator = session.idleOperator(at: loop.effects.now)
        session.tick(effects: &loop.effects)
        if let idleOperator { auditHandBack(from: idleOperator) }
        dispatch()
        return true
    }

    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {
        session.goAway(reason: reason, deadlineMilliseconds: deadlineMilliseconds, effects: &loop.effects)
    }

    package func fail(_ reason: ErrorReason, source: GatewayError.Source, close: CloseCode) {
        session.end(reason, source: source, close: close, effects: &loop.effects)
    }
}

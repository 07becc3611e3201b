package import GatewayCore
import GatewayWebSocket
import NIOCore

/// The close handshake (RFC 6455 §7).
extension WebSocketHandler {
    package func close(_ closing: Closing) {
        turn { begin(closing) }
    }

    package func retire(_ closing: Closing) {
        hasLeft = true
        turn { begin(closing) }
    }

    /// Tells the application that the connection is ending.
    func leave() {
        guard !hasLeft else { return }
        hasLeft = true
        application.disconnected()
    }

    private var closeDeadline: Instant { loop.turn.now + loop.settings.closeTimeout }

    /// Sends our close frame behind everything that was said before, and waits for the peer's.
    func begin(_ closing: Closing) {
        loop.turn.closing = nil
        guard case .open = state else { return }
        keepLastReplies()
        connection.ended(code: closing.code.rawValue, reason: closing.reason)
        if isWritable, !hasLeft { application.write(to: &backlog, writer: &writer) }
        writer.writeClose(closing.code, reason: closing.reason, to: &backlog)
        state = .closing(until: closeDeadline)
        reader.discardMessages()
        // Who floods us goes on: nothing of it is looked at any more, not even for its close frame.
        if closing.code == .tooManyViolations { state = .closed(until: closeDeadline) }
        connection.deadline = loop.turn.now + min(loop.settings.closeTimeout, loop.settings.restInterval)
        leave()
    }

    /// The peer broke the framing rules or a limit of the frame layer: told, and no more read.
    func fail(_ error: WebSocketError) {
        guard case .open = state else {
            state = .closed(until: closeDeadline)
            return
        }
        if let reason = error.sizeReason {
            application.fail(reason, source: .client, close: .messageTooBig)
            if let closing = loop.turn.closing { begin(closing) }
        } else {
            begin(Closing(code: error.closeCode, reason: error.reason))
        }
        state = .closed(until: closeDeadline)
        leave()
    }

    /// The peer closes: its code goes back, and the connection ends.
    func answerClose(_ code: UInt16?) {
        if case .open = state {
            connection.ended(code: code ?? 1005, reason: "closed by the client")
            keepLastReplies()
            // What it asked for in the same read, and what waits, goes before the answer, as if it had come in two.
            if isWritable { application.write(to: &backlog, writer: &writer) }
            writer.writeCloseReply(code, to: &backlog)
        }
        state = .closed(until: closeDeadline)
        leave()
    }

    /// After the last byte was handed over: closes the sending side and gives the peer a moment to read.
    func finish() {
        guard let context, connection.phase == .webSocket else { return }
        connection.linger(now: loop.turn.now)
        context.close(mode: .output, promise: nil)
    }

    /// The moment is over. A slow peer gets another one, and another, while it takes bytes and the time to close in isn't over.
    package func lingered() {
        guard let context, case .closed(let until) = state, loop.clock.now < until else { return connection.abort() }
        let pending = pendingBytes(context)
        guard pending > 0, progress.hasMoved(pending: pending) else { return connection.abort() }
        connection.linger(now: loop.clock.now)
    }
}

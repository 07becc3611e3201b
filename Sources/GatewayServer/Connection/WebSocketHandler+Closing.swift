// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayWebSocket
import NIOCore

/// The close handshake (RFC 6455 §7).
extension WebSocketHandler {
    package func close(_ closing: Closing) {
        handleInput { begin(closing) }
    }

    package func retire(_ closing: Closing) {
        isDisconnected = true
        handleInput { begin(closing) }
    }

    /// Informs the application, once, that the connection ends.
    func disconnect() {
        guard !isDisconnected else { return }
        isDisconnected = true
        application.disconnected()
    }

    private var closeDeadline: Instant { loop.effects.now + loop.settings.closeTimeout }

    /// Sends the close frame after all pending bytes, and waits for the peer's close frame.
    func begin(_ closing: Closing) {
        loop.effects.closing = nil
        guard case .open = state else { return }
        bufferLastReplies()
        connection.ended(code: closing.code.rawValue, reason: closing.reason, by: .gateway)
        if isWritable, !isDisconnected { application.write(to: &backlog, writer: &writer) }
        writer.writeClose(closing.code, reason: closing.reason, to: &backlog)
        state = .closing(until: closeDeadline)
        reader.discardMessages()
        // A flooding client won't stop, so nothing more is parsed, not even to find its close frame.
        if closing.code == .tooManyViolations { state = .closed(until: closeDeadline) }
        connection.deadline = loop.effects.now + min(loop.settings.closeTimeout, loop.settings.idleTickInterval)
        disconnect()
    }

    /// Closes the connection after a violation of the framing rules or a frame limit, and stops reading.
    func fail(_ error: WebSocketError) {
        guard case .open = state else {
            state = .closed(until: closeDeadline)
            return
        }
        if let reason = error.sizeReason {
            application.fail(reason, source: .client, close: .messageTooBig)
            if let closing = loop.effects.closing { begin(closing) }
        } else {
            begin(Closing(code: error.closeCode, reason: error.reason))
        }
        state = .closed(until: closeDeadline)
        disconnect()
    }

    /// Replies to the peer's close frame with the same code and ends the connection.
    func replyToClose(_ code: UInt16?) {
        if case .open = state {
            connection.ended(code: code ?? 1005, reason: "closed by the client", by: .client)
            bufferLastReplies()
            // Replies to messages of the same read, and waiting messages, are sent before the close frame, as if the client's close frame
            // had arrived in a read of its own.
            if isWritable { application.write(to: &backlog, writer: &writer) }
            writer.writeCloseReply(code, to: &backlog)
        }
        state = .closed(until: closeDeadline)
        disconnect()
    }

    /// Closes the sending side after the last byte was written, and gives the peer ``Connection/lingerTime`` to read.
    func finish() {
        guard let context, connection.phase == .webSocket else { return }
        connection.linger(now: loop.effects.now)
        context.close(mode: .output, promise: nil)
    }

    /// Aborts the connection, or extends the linger time of a slow peer that still receives bytes, until the close deadline.
    package func lingerExpired() {
        guard let context, case .closed(let until) = state, loop.clock.now < until else { return connection.abort() }
        let pending = pendingBytes(context)
        guard pending > 0, progress.hasProgressed(pending: pending) else { return connection.abort() }
        connection.linger(now: loop.clock.now)
    }
}

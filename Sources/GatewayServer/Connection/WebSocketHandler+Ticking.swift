import GatewayCore
import GatewayWebSocket
import NIOCore

/// Deadlines of an upgraded connection: heartbeat, slow reader, age, close handshake, and those of its application.
extension WebSocketHandler {
    package func tick() {
        turn {
            switch state {
            case .open: tickOpen()
            case .closing(let until) where loop.turn.now < until:
                connection.deadline = loop.turn.now + .milliseconds(100)
            case .closed(let until) where loop.turn.now < until && backlog.readableBytes > 0:
                connection.deadline = loop.turn.now + .milliseconds(100)
            case .closing, .closed:
                state = .closed(until: loop.turn.now)
                connection.abort()
            }
        }
    }

    private func tickOpen() {
        guard !isStuck() else { return slowConsumer() }
        guard application.tick() else { return }
        if loop.turn.closing == nil { tickHeartbeat() }
        // The end of the session, due at the same time, says more than the end of the connection.
        if loop.turn.closing == nil { tickAge() }
    }

    private func tickHeartbeat() {
        let missed = heartbeat.missed
        defer { loop.counters.missedPongs &+= UInt64(heartbeat.missed - missed) }
        // Behind a full socket a ping would only be one more thing that waits.
        switch heartbeat.tick(now: loop.turn.now, policy: loop.settings.heartbeat, canPing: isWritable) {
        case .none: break
        case .stale:
            application.fail(.heartbeatTimeout, source: .client, close: .heartbeatTimeout)
        case .ping(let number):
            var payload: [UInt8] = []
            for shift in stride(from: 56, through: 0, by: -8) { payload.append(UInt8(truncatingIfNeeded: number >> UInt64(shift))) }
            payload.withRawSpan { writer.writePing($0, to: &backlog) }
        }
    }

    private func tickAge() {
        let maximum = loop.settings.maximumAge
        guard maximum != .max else { return }
        let age = loop.turn.now - connection.acceptedAt
        // Not less than a second: connections aren't looked at more often than twice in one.
        let notice = max(min(maximum / 10, .seconds(30)), .seconds(1))
        if age >= maximum {
            loop.turn.closing = Closing(code: .connectionAge, reason: "connection age limit")
        } else if age >= maximum - notice, !announcedAge {
            announcedAge = true
            application.goAway(reason: "connection_age", deadlineMilliseconds: max(.zero, maximum - age).milliseconds)
        }
    }

    /// Whether the socket took no byte for `delivery.send_timeout` while some waited.
    private func isStuck() -> Bool {
        guard let context else { return false }
        let pending = pendingBytes(context)
        if pending > 0 { connection.deadline = loop.turn.now + .milliseconds(100) }
        return progress.isStuck(for: loop.settings.sendTimeout.nanoseconds, pending: pending, at: loop.turn.now)
    }

    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {
        turn {
            if case .open = state { application.goAway(reason: reason, deadlineMilliseconds: deadlineMilliseconds) }
        }
    }

}

// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayWebSocket
import NIOCore

/// The deadlines of an upgraded connection: heartbeat, slow consumer, age, close handshake, and those of its application.
extension WebSocketHandler {
    package var lastReceived: Instant { heartbeat.lastReceived }

    package func tick() {
        handleInput {
            switch state {
            case .open: tickOpen()
            case .closing(let until) where loop.effects.now < until:
                connection.deadline = loop.effects.now + .milliseconds(100)
            case .closed(let until) where loop.effects.now < until && backlog.readableBytes > 0:
                connection.deadline = loop.effects.now + .milliseconds(100)
            case .closing, .closed:
                state = .closed(until: loop.effects.now)
                connection.abort()
            }
        }
    }

    private func tickOpen() {
        guard !isStuck() else { return failSlowConsumer() }
        guard application.tick() else { return }
        if loop.effects.closing == nil { tickHeartbeat() }
        // If the session ends at the same time, its close code takes precedence over the connection's age.
        if loop.effects.closing == nil { tickAge() }
    }

    private func tickHeartbeat() {
        let missed = heartbeat.missed
        defer { loop.metrics.missedPongs &+= UInt64(heartbeat.missed - missed) }
        // While the socket isn't writable, a ping would only wait in the backlog.
        switch heartbeat.tick(now: loop.effects.now, policy: loop.settings.heartbeat, canPing: isWritable) {
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
        let age = loop.effects.now - connection.acceptedAt
        // At least a second, because connections may be ticked only every half second.
        let notice = max(min(maximum / 10, .seconds(30)), .seconds(1))
        if age >= maximum {
            loop.effects.closing = Closing(code: .connectionAge, reason: "connection age limit")
        } else if age >= maximum - notice, !hasAnnouncedAge {
            hasAnnouncedAge = true
            application.goAway(reason: "connection_age", deadlineMilliseconds: max(.zero, maximum - age).milliseconds)
        }
    }

    /// Returns whether the socket accepted no byte for `delivery.send_timeout` while bytes were pending.
    private func isStuck() -> Bool {
        guard let context else { return false }
        let pending = pendingBytes(context)
        if pending > 0 { connection.deadline = loop.effects.now + .milliseconds(100) }
        return progress.isStuck(for: loop.settings.sendTimeout.nanoseconds, pending: pending, at: loop.effects.now)
    }

    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {
        handleInput {
            if case .open = state { application.goAway(reason: reason, deadlineMilliseconds: deadlineMilliseconds) }
        }
    }

}

// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The connections of one event loop.
package final class ConnectionTable {
    private var connections: [Connection] = []
    /// Nil unless the gateway drains.
    var drain: Drain?

    package init() {}

    var all: [Connection] { connections }

    package var isEmpty: Bool { connections.isEmpty }

    package func add(_ connection: Connection) {
        connection.index = connections.count
        connections.append(connection)
    }

    package func remove(_ connection: Connection) {
        guard connection.index < connections.count, connections[connection.index] === connection else { return }
        let last = connections.removeLast()
        guard last !== connection else { return }
        last.index = connection.index
        connections[last.index] = last
    }

    /// Ticks or aborts the connections whose deadline has passed.
    ///
    /// - Parameter interval: the time until the next tick of a connection without an earlier deadline
    package func tick(now: Instant, idleTickInterval interval: Instant.Duration) {
        // A closed connection removes itself, and the last one moves to its index. That connection may wait for the next tick.
        var index = 0
        while index < connections.count {
            let connection = connections[index]
            if connection.deadline <= now { handleDeadline(on: connection, now: now, idleTickInterval: interval) }
            index += 1
        }
        tickDrain(now: now)
    }

    private func handleDeadline(on connection: Connection, now: Instant, idleTickInterval: Instant.Duration) {
        switch connection.phase {
        case .webSocket:
            connection.deadline = now + idleTickInterval
            connection.socket?.tick()
        case .proxyHeader:
            connection.timeOut(reason: "PROXY header timeout")
        case .handshake:
            connection.timeOut(reason: "tls handshake timeout")
        case .head:
            connection.timeOut(reason: "request head timeout")
        case .lingering:
            if let socket = connection.socket { socket.lingerExpired() } else { connection.abort() }
        }
    }

    /// Announces the close to all clients.
    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {
        for connection in connections { connection.socket?.goAway(reason: reason, deadlineMilliseconds: deadlineMilliseconds) }
    }

    package func closeAll(_ closing: Closing) {
        for connection in connections {
            if let socket = connection.socket { socket.close(closing) } else { connection.abort() }
        }
    }

    package func abortAll() {
        for connection in connections { connection.abort() }
    }
}

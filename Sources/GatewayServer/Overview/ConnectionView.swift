// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// An open WebSocket, for operators.
package struct ConnectionView: Sendable, Hashable, Codable {
    package var connectionID: String
    /// Nil for a connection without a session, such as one that is being rejected.
    package var sessionID: String?
    /// Nil without authentication.
    package var user: String?
    /// The client's address and port.
    package var address: String
    /// Unix milliseconds of the accepted connection.
    package var connectedAt: Int64
    /// Unix milliseconds of the last received byte.
    package var lastHeardAt: Int64
    /// Smoothed; nil before the first pong.
    package var roundTripMilliseconds: Double?
    package var messagesIn: UInt64
    package var messagesOut: UInt64
    package var bytesIn: UInt64
    package var bytesOut: UInt64
    /// Errors of the session.
    package var errors: UInt64
    /// The memory usage of the session.
    package var memoryBytes: Int
    /// The bytes that wait for the client.
    package var queueBytes: Int

    enum CodingKeys: String, CodingKey {
        case user, address, errors
        case connectionID = "connection_id"
        case sessionID = "session_id"
        case connectedAt = "connected_at"
        case lastHeardAt = "last_heard_at"
        case roundTripMilliseconds = "rtt_ms"
        case messagesIn = "messages_in"
        case messagesOut = "messages_out"
        case bytesIn = "bytes_in"
        case bytesOut = "bytes_out"
        case memoryBytes = "memory_bytes"
        case queueBytes = "queue_bytes"
    }
}

extension ConnectionView {
    /// Must be created on the connection's event loop.
    ///
    /// - Parameters:
    ///   - session: the session of the connection
    ///   - now: the time of the event loop
    ///   - wall: the same time in Unix milliseconds
    init(_ connection: Connection, _ session: SessionDriver?, now: Instant, wall: Int64) {
        let heard = connection.socket?.lastReceived ?? connection.acceptedAt
        self.init(
            connectionID: "\(connection.id)", sessionID: connection.sessionID.map { "\($0)" }, user: connection.grant?.user,
            address: connection.address, connectedAt: wall - max(.zero, now - connection.acceptedAt).milliseconds,
            lastHeardAt: wall - max(.zero, now - heard).milliseconds,
            roundTripMilliseconds: session?.session.roundTripNanoseconds.map { Double($0 / 1000) / 1000 },
            messagesIn: connection.messagesIn, messagesOut: connection.messagesOut, bytesIn: connection.bytesIn,
            bytesOut: connection.bytesOut, errors: session?.session.counts.errors ?? 0,
            memoryBytes: session?.session.memoryUsage.total ?? 0, queueBytes: session?.queueBytes ?? 0)
    }
}

/// The counters of `GET /ws/stats`.
package struct ConnectionStatistics: Sendable, Hashable, Codable {
    /// WebSockets since the start.
    package var totalConnections: UInt64 = 0
    /// Open WebSockets.
    package var activeConnections = 0
    package var sessionsWithConnections = 0
    package var detachedSessions = 0
    package var messagesIn: UInt64 = 0
    package var messagesOut: UInt64 = 0
    package var errors: UInt64 = 0
    package var uptimeMilliseconds: Int64 = 0

    package init() {}

    enum CodingKeys: String, CodingKey {
        case errors
        case totalConnections = "total_connections"
        case activeConnections = "active_connections"
        case sessionsWithConnections = "sessions_with_connections"
        case detachedSessions = "detached_sessions"
        case messagesIn = "messages_in"
        case messagesOut = "messages_out"
        case uptimeMilliseconds = "uptime_ms"
    }
}

/// The state of a rate limit, for operators.
package struct RateLimitView: Sendable, Hashable, Codable {
    /// The configuration key.
    package var rule: String
    /// The value of the configuration key; 0: no limit.
    package var limit: Double
    /// Messages rejected since the start.
    package var rejectedTotal: UInt64
    /// Sessions to which the rule admits nothing now.
    package var sessionsLimited: Int

    package init(rule: String, limit: Double, rejectedTotal: UInt64, sessionsLimited: Int) {
        self.rule = rule
        self.limit = limit
        self.rejectedTotal = rejectedTotal
        self.sessionsLimited = sessionsLimited
    }

    enum CodingKeys: String, CodingKey {
        case rule, limit
        case rejectedTotal = "refused_total"
        case sessionsLimited = "sessions_limited"
    }
}

/// The result of `POST /ws/cleanup`: what was removed.
package struct CleanupReport: Sendable, Hashable, Codable {
    /// Detached sessions that had expired.
    package var sessions = 0
    /// Client addresses without open connections.
    package var addresses = 0
    /// Rate limiters of clients without sessions.
    package var limiters = 0
    /// Resident memory that was returned to the system, in bytes.
    package var memoryBytes = 0

    package init() {}

    enum CodingKeys: String, CodingKey {
        case sessions, addresses, limiters
        case memoryBytes = "memory_bytes"
    }
}

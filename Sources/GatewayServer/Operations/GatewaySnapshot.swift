/// The counters of the gateway at one moment, as `GET /v1/gateway` shows them.
///
/// Whoever makes one adds up the counters of all event loops. Counters only grow and begin with the process; `open`, `attached`,
/// `detached` and `memoryBytes` are how things stand now.
package struct GatewaySnapshot: Sendable, Hashable, Codable {
    package struct Connections: Sendable, Hashable, Codable {
        /// Open now.
        package var open = 0
        package var accepted: UInt64 = 0
        /// Closed or answered with an error before they became a WebSocket.
        package var refused: UInt64 = 0
        /// `connections.max`; 0: no limit.
        package var max = 0
        /// Heartbeats whose pong didn't come in time.
        package var missedPongs: UInt64 = 0

        package init() {}

        enum CodingKeys: String, CodingKey {
            case open, accepted, refused, max
            case missedPongs = "missed_pongs"
        }
    }

    package struct Sessions: Sendable, Hashable, Codable {
        /// With a connection now.
        package var attached = 0
        /// Without one, waiting to be resumed.
        package var detached = 0
        /// The ledgers of all sessions, added up.
        package var memoryBytes: Int64 = 0

        package init() {}

        enum CodingKeys: String, CodingKey {
            case attached, detached
            case memoryBytes = "memory_bytes"
        }
    }

    /// The two directions, seen from the gateway.
    package struct Traffic: Sendable, Hashable, Codable {
        package var `in`: UInt64 = 0
        package var out: UInt64 = 0

        package init() {}
    }

    package struct Reports: Sendable, Hashable, Codable {
        /// Rendered reports of ended sessions.
        package var cache = ReportCache.Statistics()

        package init() {}
    }

    package struct Log: Sendable, Hashable, Codable {
        package var written: UInt64 = 0
        /// Lost because standard output was too slow or gone.
        package var dropped: UInt64 = 0

        package init() {}
    }

    /// Unix milliseconds.
    package var startedAt: Int64
    package var uptimeMilliseconds: Int64
    /// `development`, `staging` or `production`.
    package var environment: String
    package var version: String
    package var connections = Connections()
    package var sessions = Sessions()
    /// Whole WebSocket messages.
    package var messages = Traffic()
    /// Bytes of WebSocket frames, TLS not counted.
    package var bytes = Traffic()
    /// Errors sent, by `code`. Keys come from `ErrorCode`, never from the wire.
    package var errors: [String: UInt64] = [:]
    /// Connections closed, by close code. Keys come from `CloseCode`.
    package var closes: [String: UInt64] = [:]
    package var reports = Reports()
    package var log = Log()
    package var upstreams: [UpstreamStatistics] = []

    package init(startedAt: Int64, uptimeMilliseconds: Int64, environment: String, version: String) {
        self.startedAt = startedAt
        self.uptimeMilliseconds = uptimeMilliseconds
        self.environment = environment
        self.version = version
    }

    enum CodingKeys: String, CodingKey {
        case startedAt = "started_at"
        case uptimeMilliseconds = "uptime_ms"
        case environment, version, connections, sessions, messages, bytes, errors, closes, reports, log, upstreams
    }
}

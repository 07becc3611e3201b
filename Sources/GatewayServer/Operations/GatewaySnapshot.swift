// SPDX-License-Identifier: Apache-2.0

/// The counters of the gateway at one moment, as returned by `GET /v1/gateway`.
///
/// The counters are sums over all event loops. They count from the start of the process and never decrease, except for the gauges `open`,
/// `attached`, `detached` and `memoryBytes`.
package struct GatewaySnapshot: Sendable, Hashable, Codable {
    package struct Connections: Sendable, Hashable, Codable {
        /// Connections that are open now.
        package var open = 0
        package var accepted: UInt64 = 0
        /// Connections that were closed, or got an error response, before they became a WebSocket.
        package var rejected: UInt64 = 0
        /// `connections.max`; 0: no limit.
        package var max = 0
        /// Heartbeats without a pong in time.
        package var missedPongs: UInt64 = 0

        package init() {}

        enum CodingKeys: String, CodingKey {
            case open, accepted, max
            case rejected = "refused"
            case missedPongs = "missed_pongs"
        }
    }

    package struct Sessions: Sendable, Hashable, Codable {
        /// Sessions with a connection now.
        package var attached = 0
        /// Sessions without a connection now, which can be resumed.
        package var detached = 0
        /// The memory usage of all sessions together.
        package var memoryBytes: Int64 = 0

        package init() {}

        enum CodingKeys: String, CodingKey {
            case attached, detached
            case memoryBytes = "memory_bytes"
        }
    }

    /// Received (`in`) and sent (`out`).
    package struct Traffic: Sendable, Hashable, Codable {
        package var `in`: UInt64 = 0
        package var out: UInt64 = 0

        package init() {}
    }

    package struct Reports: Sendable, Hashable, Codable {
        /// The cache of rendered reports of ended sessions.
        package var cache = ReportCache.Statistics()

        package init() {}
    }

    package struct Log: Sendable, Hashable, Codable {
        package var written: UInt64 = 0
        /// Lines that were dropped because standard output was too slow or closed.
        package var dropped: UInt64 = 0

        package init() {}
    }

    /// Unix milliseconds.
    package var startedAt: Int64
    package var uptimeMilliseconds: Int64
    /// `development`, `staging` or `production`.
    package var environment: String
    package var version: String
    /// `running` or `draining`.
    package var state = "running"
    /// The commit that the executable was built from, abbreviated; `unknown` if the build didn't name it.
    package var commit: String
    package var connections = Connections()
    package var sessions = Sessions()
    /// Whole WebSocket messages.
    package var messages = Traffic()
    /// Bytes of WebSocket frames, without TLS.
    package var bytes = Traffic()
    /// Errors sent, by `code`. Keys come from `ErrorCode`, never from the wire.
    package var errors: [String: UInt64] = [:]
    /// Connections closed, by close code. Keys come from `CloseCode`.
    package var closes: [String: UInt64] = [:]
    package var reports = Reports()
    package var log = Log()
    package var upstreams: [UpstreamStatistics] = []

    package init(startedAt: Int64, uptimeMilliseconds: Int64, environment: String, version: String, commit: String) {
        self.startedAt = startedAt
        self.uptimeMilliseconds = uptimeMilliseconds
        self.environment = environment
        self.version = version
        self.commit = commit
    }

    enum CodingKeys: String, CodingKey {
        case startedAt = "started_at"
        case uptimeMilliseconds = "uptime_ms"
        case environment, version, commit, state, connections, sessions, messages, bytes, errors, closes, reports, log, upstreams
    }
}

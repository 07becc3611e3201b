// SPDX-License-Identifier: Apache-2.0

/// The figures that an operator watches, as sent once a second by `GET /v1/events`.
package struct Overview: Sendable, Hashable, Codable {
    /// Events per second, over the last second.
    package struct Rates: Sendable, Hashable, Codable {
        /// New WebSockets.
        package var connections = 0.0
        package var messagesIn = 0.0
        package var messagesOut = 0.0
        package var bytesIn = 0.0
        package var bytesOut = 0.0
        package var errors = 0.0

        package init() {}

        enum CodingKeys: String, CodingKey {
            case connections, errors
            case messagesIn = "messages_in"
            case messagesOut = "messages_out"
            case bytesIn = "bytes_in"
            case bytesOut = "bytes_out"
        }
    }

    /// Counters since the start of the process.
    package struct Totals: Sendable, Hashable, Codable {
        /// WebSockets.
        package var connections: UInt64 = 0
        package var messagesIn: UInt64 = 0
        package var messagesOut: UInt64 = 0
        package var bytesIn: UInt64 = 0
        package var bytesOut: UInt64 = 0
        package var errors: UInt64 = 0

        package init() {}

        enum CodingKeys: String, CodingKey {
            case connections, errors
            case messagesIn = "messages_in"
            case messagesOut = "messages_out"
            case bytesIn = "bytes_in"
            case bytesOut = "bytes_out"
        }
    }

    /// Percentiles in milliseconds.
    package struct Latency: Sendable, Hashable, Codable {
        package var count: UInt64
        package var p50: Double
        package var p90: Double
        package var p99: Double

        package init(count: UInt64, p50: Double, p90: Double, p99: Double) {
            self.count = count
            self.p50 = p50
            self.p90 = p90
            self.p99 = p99
        }
    }

    package struct Log: Sendable, Hashable, Codable {
        /// The level in effect.
        package var level = "info"
        /// When the level of the configuration takes effect again, in Unix milliseconds; nil if it is in effect.
        package var until: Int64?
        package var written: UInt64 = 0
        package var dropped: UInt64 = 0

        package init() {}
    }

    /// Unix milliseconds.
    package var at: Int64
    package var node: String
    package var version: String
    package var commit: String
    package var environment: String
    /// `running` or `draining`.
    package var state = "running"
    /// Unix milliseconds.
    package var startedAt: Int64
    package var uptimeMilliseconds: Int64
    /// WebSockets.
    package var connections = ResourceFigure(current: 0, peak: 0)
    /// All sessions.
    package var sessions = ResourceFigure(current: 0, peak: 0)
    package var attachedSessions = ResourceFigure(current: 0, peak: 0)
    /// The memory usage of all sessions, in bytes.
    package var memory = ResourceFigure(current: 0, peak: 0)
    /// File descriptors.
    package var descriptors = ResourceFigure(current: 0, peak: 0)
    package var rates = Rates()
    package var totals = Totals()
    /// Latencies of about the last minute by name; one that wasn't measured is absent.
    package var latency: [String: Latency] = [:]
    package var upstreams: [UpstreamStatistics] = []
    package var log = Log()

    package init(
        at: Int64, node: String = NodeName.current, version: String, commit: String, environment: String, startedAt: Int64
    ) {
        self.at = at
        self.node = node
        self.version = version
        self.commit = commit
        self.environment = environment
        self.startedAt = startedAt
        uptimeMilliseconds = at - startedAt
    }

    enum CodingKeys: String, CodingKey {
        case at, node, version, commit, environment, state, connections, sessions, memory, descriptors, rates, totals, upstreams
        case log
        case latency = "latency_ms"
        case startedAt = "started_at"
        case uptimeMilliseconds = "uptime_ms"
        case attachedSessions = "attached_sessions"
    }
}

extension Overview.Rates {
    /// The rates between two values of the counters.
    ///
    /// - Parameter seconds: the time between the two, greater than 0
    package init(from earlier: Overview.Totals, to later: Overview.Totals, seconds: Double) {
        func rate(_ counter: KeyPath<Overview.Totals, UInt64>) -> Double {
            let (difference, isLess) = later[keyPath: counter].subtractingReportingOverflow(earlier[keyPath: counter])
            // A counter that has decreased belongs to another process.
            guard !isLess, seconds > 0 else { return 0 }
            return (Double(difference) / seconds * 10).rounded() / 10
        }
        connections = rate(\.connections)
        messagesIn = rate(\.messagesIn)
        messagesOut = rate(\.messagesOut)
        bytesIn = rate(\.bytesIn)
        bytesOut = rate(\.bytesOut)
        errors = rate(\.errors)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How much of a session a report includes.
package enum ReportDepth: Sendable, Comparable {
    /// Times and counters.
    case head
    /// Also the time and size of each history entry, the timeline and the turns.
    case metadata
    /// Also the texts.
    case full
}

/// The report of a session, live or ended.
package struct SessionReport: Sendable, Equatable {
    package struct Counts: Sendable, Hashable {
        package var messagesIn: UInt64 = 0
        package var messagesOut: UInt64 = 0
        /// Bytes of WebSocket frames received, as compressed, without TLS.
        package var bytesIn: UInt64 = 0
        /// Bytes of WebSocket frames sent, as compressed, without TLS.
        package var bytesOut: UInt64 = 0
        package var errors: UInt64 = 0
        package var connections: UInt64 = 0
        package var resumes: UInt64 = 0
        package var audioMilliseconds: UInt64 = 0

        package init() {}
    }

    /// An entry of the history.
    package struct Line: Sendable, Hashable {
        package var tag: History.Tag
        /// UTF-8, sanitized; nil unless the report includes the texts.
        package var text: [UInt8]?
        package var textBytes: Int

        package init(tag: History.Tag, text: [UInt8]?, textBytes: Int) {
            self.tag = tag
            self.text = text
            self.textBytes = textBytes
        }
    }

    package var id: ULID
    /// The client that the report counts against in an archive. Neither stored with the report nor shown.
    package var client = ClientKey.unknown
    /// Nil without authentication.
    package var user: String?
    /// Unix milliseconds.
    package var startedAt: Int64
    package var lastMessageAt: Int64
    /// Unix milliseconds; nil while the session is live.
    package var endedAt: Int64?
    package var ending: SessionEnding?
    package var counts = Counts()
    /// The highest memory usage, in bytes.
    package var memoryPeak = 0
    package var lines: [Line] = []
    /// Number of history entries that were removed.
    package var linesPruned: UInt64 = 0
    package var events: [Timeline.Event] = []
    package var eventsPruned: UInt64 = 0
    package var turns: [Turn] = []
    package var turnsPruned: UInt64 = 0

    package init(id: ULID, startedAt: Int64, lastMessageAt: Int64) {
        self.id = id
        self.startedAt = startedAt
        self.lastMessageAt = lastMessageAt
    }
}

/// Percentiles of durations in microseconds, by nearest rank: `p90` is the smallest duration that at least 90 % of all don't exceed.
package struct Percentiles: Sendable, Hashable {
    package var count: Int
    package var p50: UInt32
    package var p90: UInt32
    package var p99: UInt32
    package var maximum: UInt32

    /// Returns nil for an empty sequence.
    package init?(_ durations: some Sequence<UInt32>) {
        let sorted = durations.sorted()
        guard let last = sorted.last else { return nil }
        func percentile(_ percent: Int) -> UInt32 { sorted[max(0, (sorted.count * percent + 99) / 100 - 1)] }
        count = sorted.count
        (p50, p90, p99, maximum) = (percentile(50), percentile(90), percentile(99), last)
    }
}

extension SessionReport {
    /// Percentiles of the time to the first message of a response, over the responses in the history.
    package var firstLatencies: Percentiles? { Percentiles(lines.lazy.compactMap { $0.tag.latency?.first }) }
    /// Percentiles of the time to the last message of a response, over the responses in the history.
    package var lastLatencies: Percentiles? { Percentiles(lines.lazy.compactMap { $0.tag.latency?.last }) }
}

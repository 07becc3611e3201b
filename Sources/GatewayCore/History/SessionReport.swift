/// How much of a session is told.
package enum ReportDepth: Sendable, Comparable {
    /// Times and counts.
    case head
    /// Also when something was said and how much, and what happened.
    case metadata
    /// Also what was said.
    case full
}

/// What can be told of a session, live or ended.
package struct SessionReport: Sendable, Equatable {
    package struct Counts: Sendable, Hashable {
        package var messagesIn: UInt64 = 0
        package var messagesOut: UInt64 = 0
        /// Of WebSocket frames, compressed where they are; TLS isn't counted.
        package var bytesIn: UInt64 = 0
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
        /// UTF-8, sanitized; nil where reports don't hold what was said.
        package var text: [UInt8]?
        package var textBytes: Int

        package init(tag: History.Tag, text: [UInt8]?, textBytes: Int) {
            self.tag = tag
            self.text = text
            self.textBytes = textBytes
        }
    }

    package var id: ULID
    /// The client that its place in an archive is counted for. Not part of what is written down of the report, and shown nowhere.
    package var client = ClientKey.unknown
    /// Unix milliseconds.
    package var startedAt: Int64
    package var lastMessageAt: Int64
    /// Unix milliseconds; nil while the session lives.
    package var endedAt: Int64?
    package var ending: SessionEnding?
    package var counts = Counts()
    /// The most bytes that its ledger ever came to.
    package var memoryPeak = 0
    package var lines: [Line] = []
    /// Entries of the history that were pruned.
    package var linesPruned: UInt64 = 0
    package var events: [Timeline.Event] = []
    package var eventsPruned: UInt64 = 0

    package init(id: ULID, startedAt: Int64, lastMessageAt: Int64) {
        self.id = id
        self.startedAt = startedAt
        self.lastMessageAt = lastMessageAt
    }
}

/// Percentiles of some durations, each the smallest one that so many percent don't exceed (nearest rank). Microseconds.
package struct Percentiles: Sendable, Hashable {
    package var count: Int
    package var p50: UInt32
    package var p90: UInt32
    package var p99: UInt32
    package var most: UInt32

    /// Nil of nothing.
    package init?(_ durations: some Sequence<UInt32>) {
        let sorted = durations.sorted()
        guard let last = sorted.last else { return nil }
        func percentile(_ percent: Int) -> UInt32 { sorted[max(0, (sorted.count * percent + 99) / 100 - 1)] }
        count = sorted.count
        (p50, p90, p99, most) = (percentile(50), percentile(90), percentile(99), last)
    }
}

extension SessionReport {
    /// Times to the first message of an answer, of the answers that the history has.
    package var firstReplies: Percentiles? { Percentiles(lines.lazy.compactMap { $0.tag.latency?.first }) }
    /// Times to the last message of an answer.
    package var lastReplies: Percentiles? { Percentiles(lines.lazy.compactMap { $0.tag.latency?.last }) }
}

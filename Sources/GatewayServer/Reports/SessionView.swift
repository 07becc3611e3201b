import FoundationEssentials

/// A session as operators see it in a list: when and how much, nothing of what was said.
package struct SessionSummary: Sendable, Hashable, Codable {
    package enum State: String, Sendable, Codable, CaseIterable {
        case attached, detached, ended
    }

    package var sessionID: String
    package var state: State
    /// Unix milliseconds.
    package var startedAt: Int64
    /// Unix milliseconds: when its newest connection was opened; nil when it has ended.
    package var connectedAt: Int64?
    /// Unix milliseconds; nil for a session without an end.
    package var expiresAt: Int64?
    /// Unix milliseconds.
    package var lastMessageAt: Int64
    /// Unix milliseconds; nil while it lives.
    package var endedAt: Int64?
    package var ending: String?
    package var messagesIn: UInt64
    package var messagesOut: UInt64
    package var bytesIn: UInt64
    package var bytesOut: UInt64
    package var errors: UInt64
    package var connections: UInt64
    package var resumes: UInt64
    package var audioSeconds: Double
    /// Requests that aren't answered yet.
    package var inFlight: Int
    /// Its ledger.
    package var memoryBytes: Int
    package var memoryPeakBytes: Int
    package var title: String?
    package var tags: [String]

    enum CodingKeys: String, CodingKey {
        case sessionID = "session_id"
        case state
        case startedAt = "started_at"
        case connectedAt = "connected_at"
        case expiresAt = "expires_at"
        case lastMessageAt = "last_message_at"
        case endedAt = "ended_at"
        case ending
        case messagesIn = "messages_in"
        case messagesOut = "messages_out"
        case bytesIn = "bytes_in"
        case bytesOut = "bytes_out"
        case errors, connections, resumes
        case audioSeconds = "audio_seconds"
        case inFlight = "in_flight"
        case memoryBytes = "memory_bytes"
        case memoryPeakBytes = "memory_peak_bytes"
        case title, tags
    }
}

/// A session as operators see it alone, and with `transcript` its report.
package struct SessionDetails: Sendable, Hashable, Codable {
    package struct Connection: Sendable, Hashable, Codable {
        package var connectionID: String
        package var address: String
        package var bytesIn: UInt64
        package var bytesOut: UInt64
        /// Smoothed; nil before the first pong.
        package var roundTripMilliseconds: Double?

        enum CodingKeys: String, CodingKey {
            case connectionID = "connection_id"
            case address
            case bytesIn = "bytes_in"
            case bytesOut = "bytes_out"
            case roundTripMilliseconds = "rtt_ms"
        }
    }

    package struct Outbox: Sendable, Hashable, Codable {
        /// Messages that aren't acknowledged.
        package var messages: Int
        /// Bytes that wait for the socket, or for a connection.
        package var waitingBytes: Int
        package var lastSequence: UInt64

        enum CodingKeys: String, CodingKey {
            case messages
            case waitingBytes = "waiting_bytes"
            case lastSequence = "last_seq"
        }
    }

    /// Milliseconds, over the answers that the history has.
    package struct Latency: Sendable, Hashable, Codable {
        package var count: Int
        package var p50: Double
        package var p90: Double
        package var p99: Double
        package var max: Double
    }

    package struct Latencies: Sendable, Hashable, Codable {
        package var firstReply: Latency?
        package var lastReply: Latency?

        enum CodingKeys: String, CodingKey {
            case firstReply = "first_reply_ms"
            case lastReply = "last_reply_ms"
        }
    }

    /// Something that happened.
    package struct Event: Sendable, Hashable, Codable {
        /// Unix milliseconds.
        package var at: Int64
        package var event: String
        /// An error's.
        package var code: String?
        package var correlationID: String?
        package var connectionID: String?
        package var closeCode: UInt16?
        /// Of a resume: something was gone.
        package var lost: Bool?

        enum CodingKeys: String, CodingKey {
            case at, event, code
            case correlationID = "correlation_id"
            case connectionID = "connection_id"
            case closeCode = "close_code"
            case lost
        }
    }

    /// Something that was said: sanitized text, the transcript of audio, or how much audio there was.
    package struct Line: Sendable, Hashable, Codable {
        /// Unix milliseconds.
        package var at: Int64
        /// `client` or `upstream`.
        package var by: String
        /// `text`, `transcript` or `audio`.
        package var kind: String
        /// Nil of audio, and where reports hold metadata only.
        package var text: String?
        package var textBytes: Int?
        package var audioBytes: Int64?
        package var audioSeconds: Double?
        /// Of the last piece of an answer.
        package var firstReplyMilliseconds: Double?
        package var lastReplyMilliseconds: Double?

        enum CodingKeys: String, CodingKey {
            case at, by, kind, text
            case textBytes = "text_bytes"
            case audioBytes = "audio_bytes"
            case audioSeconds = "audio_seconds"
            case firstReplyMilliseconds = "first_reply_ms"
            case lastReplyMilliseconds = "last_reply_ms"
        }
    }

    package var session: SessionSummary
    package var notes: String?
    /// Nil when it has none.
    package var connection: Connection?
    /// Nil when it has ended.
    package var outbox: Outbox?
    package var latency: Latencies
    package var timeline: [Event]
    /// Events that the timeline doesn't have any more.
    package var timelinePruned: UInt64
    /// What the history has; nil where it isn't asked for.
    package var transcript: [Line]?
    /// Lines that the history doesn't have any more.
    package var transcriptPruned: UInt64

    enum CodingKeys: String, CodingKey {
        case session, notes, connection, outbox, latency, timeline
        case timelinePruned = "timeline_pruned"
        case transcript
        case transcriptPruned = "transcript_pruned"
    }
}

/// One page of a list of sessions.
package struct SessionPage: Sendable, Hashable, Codable {
    package var sessions: [SessionSummary]
    /// Where the next page begins; nil on the last one.
    package var cursor: String?

    package init(sessions: [SessionSummary], cursor: String?) {
        self.sessions = sessions
        self.cursor = cursor
    }
}

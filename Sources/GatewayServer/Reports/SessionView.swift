// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// A session in a list for operators: times and counts, without texts and transcripts.
package struct SessionSummary: Sendable, Hashable, Codable {
    package enum State: String, Sendable, Codable, CaseIterable {
        case attached, detached, ended
    }

    package var sessionID: String
    package var state: State
    /// Nil without authentication.
    package var user: String?
    /// Unix milliseconds.
    package var startedAt: Int64
    /// Unix milliseconds of the latest connection's opening; nil if the session has ended.
    package var connectedAt: Int64?
    /// Unix milliseconds; nil if the session doesn't expire.
    package var expiresAt: Int64?
    /// Unix milliseconds.
    package var lastMessageAt: Int64
    /// Unix milliseconds; nil for a live session.
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
    /// Requests that haven't completed yet.
    package var inFlight: Int
    /// The memory usage of the session.
    package var memoryBytes: Int
    package var memoryPeakBytes: Int
    /// The bytes that wait for the client; nil if the session has ended.
    package var queueBytes: Int?
    /// Smoothed; nil before the first pong, and without a connection.
    package var roundTripMilliseconds: Double?
    package var title: String?
    package var tags: [String]
    /// The name of the node that has the session; nil if it has ended, and outside of a cluster.
    package var node: String?

    enum CodingKeys: String, CodingKey {
        case sessionID = "session_id"
        case state, user
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
        case queueBytes = "queue_bytes"
        case roundTripMilliseconds = "rtt_ms"
        case title, tags, node
    }
}

/// The details of a session for operators; with `transcript`, its report.
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
        /// Unacknowledged messages.
        package var messages: Int
        /// Bytes queued for the socket, or for a connection.
        package var waitingBytes: Int
        package var lastSequence: UInt64

        enum CodingKeys: String, CodingKey {
            case messages
            case waitingBytes = "waiting_bytes"
            case lastSequence = "last_seq"
        }
    }

    /// Latencies of the responses in the history, in milliseconds.
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

    /// An event of the timeline.
    package struct Event: Sendable, Hashable, Codable {
        /// Unix milliseconds.
        package var at: Int64
        package var event: String
        /// The code of an error.
        package var code: String?
        package var correlationID: String?
        package var connectionID: String?
        package var closeCode: UInt16?
        /// Whether messages were lost; set for a resume.
        package var lost: Bool?

        enum CodingKeys: String, CodingKey {
            case at, event, code
            case correlationID = "correlation_id"
            case connectionID = "connection_id"
            case closeCode = "close_code"
            case lost
        }
    }

    /// One line of the transcript: a sanitized text, the transcript of audio, or the size of audio.
    package struct Line: Sendable, Hashable, Codable {
        /// Unix milliseconds.
        package var at: Int64
        /// `client` or `upstream`.
        package var by: String
        /// `text`, `transcript` or `audio`.
        package var kind: String
        /// Nil for audio, and if reports contain metadata only.
        package var text: String?
        package var textBytes: Int?
        package var audioBytes: Int64?
        package var audioSeconds: Double?
        /// Set for the last part of a response.
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
    /// Nil if the session has no connection.
    package var connection: Connection?
    /// Nil if the session has ended.
    package var outbox: Outbox?
    package var latency: Latencies
    package var timeline: [Event]
    /// Number of events that were pruned from the timeline.
    package var timelinePruned: UInt64
    /// The lines of the history; nil unless requested.
    package var transcript: [Line]?
    /// Number of lines that were pruned from the history.
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
    /// The cursor of the next page; nil on the last page.
    package var cursor: String?
    /// The names of the nodes that didn't respond: their sessions aren't listed. Nil if there are none.
    package var missingNodes: [String]?

    package init(sessions: [SessionSummary], cursor: String?, missingNodes: [String] = []) {
        self.sessions = sessions
        self.cursor = cursor
        self.missingNodes = missingNodes.isEmpty ? nil : missingNodes
    }

    enum CodingKeys: String, CodingKey {
        case sessions, cursor
        case missingNodes = "missing_nodes"
    }
}

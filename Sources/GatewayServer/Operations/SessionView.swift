import FoundationEssentials
package import GatewayCore

/// A session as operators see it in a list: when and how much, nothing of what was said.
package struct SessionSummary: Sendable, Hashable, Codable {
    package enum State: String, Sendable, Codable, CaseIterable {
        case attached, detached
    }

    package var sessionID: String
    package var state: State
    /// Unix milliseconds: when its newest connection was opened.
    package var connectedAt: Int64
    /// Unix milliseconds; nil for a session without an end.
    package var expiresAt: Int64?
    package var messagesIn: UInt64
    package var messagesOut: UInt64
    package var errors: UInt64
    package var audioSeconds: Double
    /// Requests that aren't answered yet.
    package var inFlight: Int
    /// Its ledger.
    package var memoryBytes: Int

    enum CodingKeys: String, CodingKey {
        case sessionID = "session_id"
        case state
        case connectedAt = "connected_at"
        case expiresAt = "expires_at"
        case messagesIn = "messages_in"
        case messagesOut = "messages_out"
        case errors
        case audioSeconds = "audio_seconds"
        case inFlight = "in_flight"
        case memoryBytes = "memory_bytes"
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

    /// Something that was said: sanitized text, or the transcript of audio.
    package struct Line: Sendable, Hashable, Codable {
        /// Unix milliseconds.
        package var at: Int64
        /// `client` or `upstream`.
        package var by: String
        package var text: String
    }

    package var session: SessionSummary
    package var connection: Connection?
    package var outbox: Outbox
    /// What the history has; nil where it isn't asked for, or where reports hold metadata only.
    package var transcript: [Line]?
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

/// What operators do with sessions. The gateway does it; tests may do something else.
package protocol SessionDirectory: Sendable {
    /// Sessions behind `cursor`, in the order of their ids, which is that of their beginnings.
    func sessions(after cursor: ULID?, limit: Int, state: SessionSummary.State?) async -> SessionPage
    /// - Parameter withTranscript: also what was said, as far as the history has it
    func session(_ id: ULID, withTranscript: Bool) async -> SessionDetails?
    /// Ends a session: its connection is closed with 4507. False when there is none.
    func close(_ id: ULID) async -> Bool
    /// Ends a session, and has nothing of it kept anywhere. False when there is none.
    func erase(_ id: ULID) async -> Bool
}

extension SessionDetails {
    /// The transcript as CSV (RFC 4180), safe for spreadsheets: a cell that could be a formula begins with an apostrophe.
    package var csv: String {
        var text = "at,by,text\r\n"
        for line in transcript ?? [] { text += "\(line.at),\(line.by),\(Self.cell(line.text))\r\n" }
        return text
    }

    private static func cell(_ text: String) -> String {
        var cell = text.replacing("\"", with: "\"\"")
        if let first = cell.unicodeScalars.first, "=+-@\t\r\n".unicodeScalars.contains(first) { cell = "'" + cell }
        return "\"" + cell + "\""
    }
}

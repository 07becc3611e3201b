// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A message of the gateway, with the fields that a client uses (protocol page, section "Messages"). Unknown fields are ignored.
package struct ServerMessage: Sendable, Decodable, Hashable {
    /// The `error` object (protocol page, section "Errors").
    package struct Failure: Sendable, Decodable, Hashable {
        package var code: String
        package var message: String
        package var param: String?
        package var replyTo: String?
        /// The rejected audio chunk, counted from 1.
        package var chunk: Int?
        package var correlationID: String?
        package var retryable: Bool?
        package var retryAfterMilliseconds: Int64?
        package var fatal: Bool?
        package var details: String?

        private enum CodingKeys: String, CodingKey {
            case code, message, param, chunk, retryable, fatal, details
            case replyTo = "reply_to"
            case correlationID = "correlation_id"
            case retryAfterMilliseconds = "retry_after_ms"
        }
    }

    package struct Format: Sendable, Decodable, Hashable {
        package var codec: String
        package var rate: Int
        package var channels: Int
    }

    /// The audio stream that was open when the connection was lost.
    package struct OpenAudio: Sendable, Decodable, Hashable {
        package var id: String
        /// Number of accepted chunks.
        package var chunks: Int
    }

    /// The source of a message that a back office or an operator sent.
    package struct Push: Sendable, Decodable, Hashable {
        package var id: String
    }

    /// The text as received.
    package private(set) var json = ""
    package var type: String
    package var id: String?
    /// Set on sequenced messages.
    package var sequence: Int64?
    package var replyTo: String?
    package var text: String?
    package var state: String?
    package var reason: String?
    package var isFinal: Bool?
    /// Set on the last sequenced message of a request.
    package var isDone: Bool?
    package var isDuplicate: Bool?
    /// Number of audio chunks accepted so far.
    package var chunks: Int?
    package var format: Format?
    package var error: Failure?
    package var deadlineMilliseconds: Int64?
    package var sessionID: String?
    package var resumeToken: String?
    package var isResumed: Bool?
    package var isLost: Bool?
    package var resumeError: String?
    package var lastSequence: Int64?
    package var openAudio: OpenAudio?
    package var heartbeatMilliseconds: Int64?
    /// Set on the notice that a quota is almost used up: its name, and how much of its limit is used.
    package var quota: String?
    package var used: Double?
    package var limit: Double?
    /// Limits by configuration key.
    package var limits: [String: Double]?
    package var push: Push?

    private enum CodingKeys: String, CodingKey {
        case type, id, text, state, reason, chunks, format, error, quota, used, limit, limits, push
        case sequence = "seq"
        case replyTo = "reply_to"
        case isFinal = "final"
        case isDone = "done"
        case isDuplicate = "duplicate"
        case deadlineMilliseconds = "deadline_ms"
        case sessionID = "session_id"
        case resumeToken = "resume_token"
        case isResumed = "resumed"
        case isLost = "lost"
        case resumeError = "resume_error"
        case lastSequence = "last_seq"
        case openAudio = "open_audio"
        case heartbeatMilliseconds = "heartbeat_ms"
    }

    /// - Throws: `DecodingError` for malformed JSON, and for fields of the wrong type
    package init(json: String) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(json.utf8))
        self.json = json
    }

    /// The id of the request that the message belongs to.
    package var request: String? {
        switch type {
        case "ack": id
        case "error": error?.replyTo ?? replyTo
        default: replyTo
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The first message on a connection. Never compressed, because it contains a token.
package struct SessionMessage: OutgoingMessage {
    /// The open audio input.
    package struct OpenAudio: Sendable {
        package var id: MessageID
        /// The number of accepted chunks.
        package var chunks: UInt64

        package init(_ id: MessageID, chunks: UInt64) {
            self.id = id
            self.chunks = chunks
        }
    }

    package static let type: StaticString = "session"
    package var id: ULID
    /// The token in base64url, as sent to the client.
    package var resumeToken: [UInt8]
    package var isResumed: Bool
    /// Whether messages after the client's `last_seq` are lost.
    package var isLost: Bool
    package var resumeError: ResumeError?
    package var lastSequence: UInt64
    /// Unix milliseconds; nil for a session that doesn't expire.
    package var expiresAt: Int64?
    package var heartbeatMilliseconds: Int64
    package var limits: [SessionPolicy.NamedLimit]
    package var openAudio: OpenAudio?
    /// The durability of an acknowledged message: `memory`, `disk` or `replicas`; nil unless gateways share the store.
    package var durability: String?

    package init(
        _ id: ULID, resumeToken: [UInt8], isResumed: Bool, isLost: Bool, resumeError: ResumeError?, lastSequence: UInt64, expiresAt: Int64?,
        heartbeatMilliseconds: Int64, limits: [SessionPolicy.NamedLimit], openAudio: OpenAudio?, durability: String? = nil
    ) {
        self.id = id
        self.resumeToken = resumeToken
        self.isResumed = isResumed
        self.isLost = isLost
        self.resumeError = resumeError
        self.lastSequence = lastSequence
        self.expiresAt = expiresAt
        self.heartbeatMilliseconds = heartbeatMilliseconds
        self.limits = limits
        self.openAudio = openAudio
        self.durability = durability
    }

    package var expectedBytes: Int { 512 &+ 48 &* limits.count }

    package func write(to writer: inout JSONWriter) {
        writer.member("session_id", id)
        writer.member("resume_token", resumeToken)
        writer.member("resumed", isResumed)
        writer.member("lost", isLost)
        if let resumeError { writer.member("resume_error", resumeError.rawValue) }
        writer.member("last_seq", lastSequence)
        if let expiresAt { writer.member("expires_at", expiresAt) } else { writer.member(null: "expires_at") }
        writer.member("heartbeat_ms", heartbeatMilliseconds)
        writer.object("limits") { writer in
            for limit in limits { writer.member(named: limit.name, limit.value) }
        }
        if let openAudio {
            writer.object("open_audio") { writer in
                writer.member("id", openAudio.id)
                writer.member("chunks", openAudio.chunks)
            }
        }
        if let durability { writer.member("durability", durability) }
        writer.member("protocol", literal: "parley.v1")
    }
}

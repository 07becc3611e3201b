// SPDX-License-Identifier: Apache-2.0

extension ConfigurationSection {
    /// `messages.*`: limits on a single message.
    package struct Messages: Sendable, Equatable {
        /// Maximum bytes of a JSON message other than audio, as received; 0: no limit.
        package var maxBytes = 256_000
        /// Maximum UTF-8 bytes of a text after sanitizing; 0: no limit.
        package var maxTextBytes = 100_000
        /// Maximum bytes of an audio chunk or message, decoded; 0: no limit.
        package var audioMaxBytes = 1_000_000
        /// Maximum nesting depth of JSON, 1 to 64; it can't be disabled.
        package var maxDepth = 16
        /// Whether unknown fields of a message are ignored or rejected.
        package var unknownFields = UnknownFields.ignore
        /// Violations per minute, 4505 beyond; 0: no limit.
        package var maxViolations = 20
    }

    /// `limits.*`: rate limits of a session; 0 disables each.
    package struct Limits: Sendable, Equatable {
        /// Texts per minute, with a burst of a quarter of that.
        package var textPerMinute = 60
        /// Audio messages and opened streams per minute.
        package var audioPerMinute = 30
        /// Binary frames per second, with a burst of 5 s.
        package var audioChunksPerSecond = 200
        /// Seconds of audio per second, with a burst of 5 s.
        package var audioRealtimeFactor = 1.5
        /// `ping`, `status`, `cancel` and `auth` messages per minute.
        package var controlPerMinute = 240
        /// Messages rejected by a limit per minute, 4505 beyond.
        package var refusalsPerMinute = 240
        /// Inflated bytes per second, with a burst of 4 s.
        package var bytesPerSecond = 1_000_000
        /// Limits of all sessions of one address together, as a multiple of a session's limits.
        package var perAddressFactor = 10.0
        /// Messages per second of all sessions together.
        package var globalPerSecond = 0
    }

    /// `sessions.*`: limits on sessions: number, lifetime, history and memory.
    package struct Sessions: Sendable, Equatable {
        /// Maximum attached sessions, 503 beyond; 0: no limit.
        package var max = 1000
        /// Maximum detached sessions, 503 beyond; 0: no limit.
        package var maxDetached = 1000
        /// Maximum lifetime of a session; 0: no limit.
        package var ttl = Duration.seconds(24 * 3600)
        /// A session that receives no message for this long ends; 0: no limit.
        package var idle = Duration.seconds(30 * 60)
        /// How long a detached session can be resumed.
        package var resumeWindow = Duration.seconds(120)
        /// Interval at which expired state is freed.
        package var sweep = Duration.seconds(300)
        /// Maximum messages in the history, the oldest pruned beyond; 0: no history.
        package var historyMessages = 1000
        /// Maximum bytes of the history, the oldest messages pruned beyond; 0: no history.
        package var historyBytes = 256 * 1024
        /// Number of recent ids kept to detect duplicates; 0: none.
        package var duplicateIDs = 1000
        /// Maximum unacknowledged messages kept for replay; 0: only the memory budget limits them.
        package var outboxMessages = 1000
        /// Maximum unacknowledged bytes kept for replay; 0: only the memory budget limits them.
        package var outboxBytes = 1 << 20
        /// Memory budget of one session in bytes; 0: no limit.
        package var memoryBudget = 6 << 20
        /// Memory budget of all sessions in bytes; 0: no limit.
        package var totalMemoryBudget = 1 << 30
    }

    /// `delivery.*`: queues and timeouts toward the client and the upstream.
    package struct Delivery: Sendable, Equatable {
        /// A socket that accepts no byte for this long while bytes are queued is closed with 4002.
        package var sendTimeout = Duration.seconds(5)
        /// Maximum bytes queued for the upstream per session; further chunks are rejected; 0: no limit.
        package var upstreamQueueBytes = 256 * 1024
        /// Text deltas that arrive within this time after one that was sent are combined into one message; 0: no delay.
        package var coalesce = Duration.zero
        /// Maximum bytes queued for the socket; beyond it, reading from the upstream pauses; 0: no limit.
        package var socketQueueBytes = 1 << 20
    }
}

/// `messages.unknown_fields`.
package enum UnknownFields: String, Sendable, CaseIterable {
    case ignore, reject
}

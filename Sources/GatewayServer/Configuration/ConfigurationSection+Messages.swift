extension ConfigurationSection {
    /// `messages.*`: what one message may be.
    package struct Messages: Sendable, Equatable {
        /// Bytes of a JSON message other than audio, raw; 0: off.
        package var maxBytes = 256_000
        /// UTF-8 bytes of a text after sanitizing; 0: off.
        package var maxTextBytes = 100_000
        /// Bytes of an audio chunk or message, decoded; 0: off.
        package var audioMaxBytes = 1_000_000
        /// Nesting of JSON, 1 to 64; it can't be turned off.
        package var maxDepth = 16
        /// What happens to a field that no message has.
        package var unknownFields = UnknownFields.ignore
        /// Violations a minute, 4505 beyond; 0: off.
        package var maxViolations = 20
    }

    /// `limits.*`: how much one session may send; 0 turns each off.
    package struct Limits: Sendable, Equatable {
        /// Texts a minute, with a burst of a quarter.
        package var textPerMinute = 60
        /// Audio messages and opened streams a minute.
        package var audioPerMinute = 30
        /// Binary frames a second, with a burst of 5 s.
        package var audioChunksPerSecond = 200
        /// Seconds of audio a second, with a burst of 5 s.
        package var audioRealtimeFactor = 1.5
        /// `ping`, `status`, `cancel` and `auth` a minute.
        package var controlPerMinute = 240
        /// Messages refused by a limit a minute, 4505 beyond.
        package var refusalsPerMinute = 240
        /// Inflated bytes a second, with a burst of 4 s.
        package var bytesPerSecond = 1_000_000
        /// All sessions of one address together may send so many times what one may.
        package var perAddressFactor = 10.0
        /// Messages a second of all sessions together.
        package var globalPerSecond = 0
    }

    /// `sessions.*`: how many, for how long, and what they remember.
    package struct Sessions: Sendable, Equatable {
        /// Sessions with a connection, 503 beyond; 0: off.
        package var max = 1000
        /// Sessions waiting to be resumed, 503 beyond; 0: off.
        package var maxDetached = 1000
        /// A session ends so long after it began; 0: off.
        package var ttl = Duration.seconds(24 * 3600)
        /// A session ends when no message came for so long; 0: off.
        package var idle = Duration.seconds(30 * 60)
        /// A session is kept so long without a connection.
        package var resumeWindow = Duration.seconds(120)
        /// Between two passes that free what expired.
        package var sweep = Duration.seconds(300)
        /// Messages of history, the oldest pruned beyond; 0 keeps none.
        package var historyMessages = 1000
        /// Bytes of history, the oldest pruned beyond; 0 keeps none.
        package var historyBytes = 256 * 1024
        /// Accepted ids remembered; 0 remembers none.
        package var duplicateIDs = 1000
        /// Unacknowledged messages kept for replay; 0: off, the memory budget still binds.
        package var outboxMessages = 1000
        /// Unacknowledged bytes kept for replay; 0: off, the memory budget still binds.
        package var outboxBytes = 1 << 20
        /// Bytes of everything that one session holds; 0: off.
        package var memoryBudget = 6 << 20
        /// Bytes of all sessions together; 0: off.
        package var totalMemoryBudget = 1 << 30
    }

    /// `delivery.*`: the way out.
    package struct Delivery: Sendable, Equatable {
        /// The socket took no byte for so long while some waited: closed 4002.
        package var sendTimeout = Duration.seconds(5)
        /// Bytes waiting for the upstream, a session; chunks beyond are refused; 0: off.
        package var upstreamQueueBytes = 256 * 1024
        /// Streamed text deltas are gathered for so long; 0: sent as they come.
        package var coalesce = Duration.zero
        /// Bytes waiting for the socket; beyond, reading from the upstream pauses; 0: off.
        package var socketQueueBytes = 1 << 20
    }
}

/// `messages.unknown_fields`.
package enum UnknownFields: String, Sendable, CaseIterable {
    case ignore, reject
}

// SPDX-License-Identifier: Apache-2.0

extension ParleyClient {
    /// The settings of a client.
    public struct Configuration: Sendable {
        /// The certificates that are accepted.
        public enum Trust: Sendable, Hashable {
            /// Those of the system's authorities.
            case system
            /// Those of the authorities in a PEM file, for example a development certificate.
            case authority(path: String)
            /// Any certificate. Only for development.
            case anyCertificate
        }

        /// Returns a bearer token; nil: no token. Called before each attempt to connect, when the gateway announces the end of the current
        /// token, and once more after a rejection. If the closure throws, the attempt fails and is repeated after the back-off.
        public var token: (@Sendable () async throws -> String?)?
        public var trust = Trust.system
        public var backoff = BackoffPolicy()
        /// The most requests without an acknowledgement; default: 100. ``ParleyClient/say(_:options:)`` waits for room while connected, and fails
        /// with `queue_full` otherwise.
        public var maximumQueuedMessages = 100
        /// The most bytes of text in these requests; default: 1 MB.
        public var maximumQueuedBytes = 1_000_000
        /// The most bytes of a reply: its text and the audio that isn't read yet. A larger one fails with `reply_too_large`. Default: 16 MiB.
        public var maximumReplyBytes = 16 << 20
        /// The most events that wait for a slow reader of ``ParleyClient/events``; the oldest ones are dropped. Default: 1000.
        public var maximumEvents = 1000
        /// The time for the token, name resolution, TCP, TLS, the upgrade and the session message together; default: 15 s.
        public var connectTimeout = Duration.seconds(15)
        /// The interval between pings, 1–60 s; nil: as the gateway asks.
        public var heartbeat: Duration?
        /// Texts for people by ``Advice`` raw value, in place of the English ones.
        public var translations: [String: String] = [:]

        public init(trust: Trust = .system) { self.trust = trust }

        /// - Parameter token: a bearer token that isn't renewed
        public init(token: String, trust: Trust = .system) {
            self.token = { token }
            self.trust = trust
            canRefresh = false
        }

        /// Whether another token may differ from the previous one.
        var canRefresh = true
    }

    /// The options of a request.
    public struct RequestOptions: Sendable, Hashable {
        /// The language as a BCP 47 tag, for example `en`.
        public var language: String?
        /// At most 16 entries; keys of 1–64 characters of `[A-Za-z0-9_.-]`, values of at most 1 KB. `route` selects an upstream.
        public var metadata: [String: String] = [:]
        /// Whether the text arrives in parts; otherwise in one piece.
        public var streams = true
        /// Whether the response is spoken as well (pcm16, 24 kHz, mono); see ``Reply/audio``.
        public var speaks = false

        public init() {}
    }

    /// The activity of the user.
    public enum Activity: String, Sendable, CaseIterable {
        case typing, idle, recording, muted, playing
    }
}

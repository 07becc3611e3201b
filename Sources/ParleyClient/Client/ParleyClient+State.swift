// SPDX-License-Identifier: Apache-2.0

extension ParleyClient {
    /// The state of a client.
    public enum State: Sendable, Hashable {
        /// Before the first attempt.
        case idle
        case connecting
        case open
        /// Between two attempts: the delay until the next one, when the state began, and the reason.
        case waiting(Duration, ParleyError)
        /// The application reported that there is no network (``ParleyClient/setOnline(_:)``).
        case offline
        /// Closed by the application (code `closed`), or given up. After the latter, ``ParleyClient/reconnect()`` tries again.
        case closed(ParleyError)

        /// The error of a closed client.
        var closingError: ParleyError? {
            if case .closed(let error) = self { error } else { nil }
        }
    }

    /// The counters of a client, since its creation.
    public struct Statistics: Sendable, Hashable {
        public var messagesSent = 0
        public var messagesReceived = 0
        /// Requests that were sent again under their ids.
        public var messagesResent = 0
        /// Received messages that were dropped as repetitions.
        public var duplicatesDropped = 0
        /// Payload bytes, before compression and TLS.
        public var bytesSent = 0
        public var bytesReceived = 0
        /// Sessions after the first one, and those among them that continued the previous one.
        public var reconnects = 0
        public var resumes = 0
        public var lostPongs = 0
        /// Events that a slow reader of ``ParleyClient/events`` missed.
        public var eventsDropped = 0
        /// The last round trip; nil before the first pong.
        public var roundTrip: Duration?
        /// The smoothed difference between round trips (RFC 3550 §6.4.1).
        public var jitter = Duration.zero
        /// Requests that the gateway hasn't acknowledged.
        public var queued = 0
    }
}

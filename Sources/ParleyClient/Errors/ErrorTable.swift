// SPDX-License-Identifier: Apache-2.0

extension ParleyError {
    /// The origin of an error.
    public enum Class: String, Sendable, CaseIterable {
        case network, auth, server, `protocol`, policy
    }

    /// The recovery from an error. A closed connection follows it; a rejected message follows ``resend``, and fails with any other.
    public enum Recovery: String, Sendable, CaseIterable {
        /// The error ends one message; the session goes on.
        case none
        /// The message is sent again under the same id after the time that the gateway asks for.
        case resend
        /// The client reconnects at once and resumes.
        case reconnect
        /// The client reconnects after a random delay that grows with each attempt, and resumes.
        case backoff
        /// The client requests a new token and reconnects.
        case refresh
        /// The client reconnects and opens a new session.
        case newSession = "new_session"
        /// The client doesn't reconnect by itself.
        case stop
    }

    /// The meaning of a code.
    public struct Entry: Sendable, Hashable {
        public let errorClass: Class
        public let recovery: Recovery
        /// The text for people.
        public let advice: Advice
    }

    /// The meaning of each error code of the gateway, close code, HTTP status of a failed upgrade, and code of the client itself.
    public static let table: [String: Entry] = {
        var table: [String: Entry] = [:]
        for (errorClass, recovery, advice, codes) in rows {
            for code in codes.split(separator: " ") {
                table[String(code)] = Entry(errorClass: errorClass, recovery: recovery, advice: advice)
            }
        }
        return table
    }()

    /// Returns the entry of a code; for an unknown one, that of its kind.
    public static func entry(for code: String) -> Entry {
        if let entry = table[code] { return entry }
        let kind: String
        switch Int(code) {
        case nil: kind = "internal"
        case .some(..<400): kind = "302"
        case .some(..<500): kind = "400"
        case .some(..<600): kind = "500"
        default: kind = "1006"
        }
        return table[kind] ?? Entry(errorClass: .server, recovery: .backoff, advice: .failed)
    }

    private static let rows: [(Class, Recovery, Advice, String)] = [
        (.protocol, .none, .bug, "invalid_json invalid_message unsupported_type duplicate_id"),
        (.protocol, .none, .notFound, "not_found"),
        (.protocol, .none, .recording, "invalid_audio"),
        (.protocol, .stop, .bug, "invalid_upgrade header_too_large 400 405 426 431"),
        (.protocol, .stop, .address, "404 invalid_url"),
        (.protocol, .backoff, .bug, "1002 1003 1007 protocol_error"),
        (.policy, .none, .tooLong, "message_too_large audio_too_large reply_too_large"),
        (.policy, .none, .quota, "quota_exceeded"),
        (.policy, .none, .cancelled, "cancelled"),
        (.policy, .none, .queueFull, "queue_full"),
        (.policy, .none, .recording, "source_failed"),
        (.policy, .resend, .slowDown, "rate_limited too_fast"),
        (.policy, .stop, .tooLong, "1009"),
        (.policy, .stop, .violations, "too_many_violations 4505"),
        (.policy, .stop, .notAllowed, "origin_denied"),
        (.policy, .stop, .elsewhere, "4503 4504"),
        (.policy, .stop, .ended, "4506 4507"),
        (.policy, .stop, .closed, "closed"),
        (.auth, .refresh, .signIn, "unauthorized token_expired 401 4500 4501"),
        (.auth, .stop, .notAllowed, "forbidden 403"),
        (.server, .none, .failed, "upstream_unavailable upstream_timeout upstream_error internal"),
        (.server, .none, .lost, "lost"),
        (.server, .resend, .busy, "memory_limit overloaded"),
        (.server, .backoff, .busy, "connection_limit session_limit 429 503 1013"),
        (.server, .backoff, .network, "500 1000 1011"),
        (.server, .backoff, .restart, "draining"),
        (.server, .reconnect, .network, "1001 4003"),
        (.server, .reconnect, .restart, "1012"),
        (.server, .newSession, .expired, "session_expired 4502"),
        (.network, .none, .dropped, "audio_dropped"),
        (.network, .backoff, .network, "1005 1006 1014"),
        (.network, .backoff, .unreachable, "408 connect_failed connect_timeout"),
        (.network, .backoff, .certificate, "tls_failed"),
        (.network, .backoff, .signIn, "token_failed"),
        (.network, .backoff, .proxy, "200 302 407 502 504"),
        (.network, .backoff, .offline, "offline"),
        (.network, .reconnect, .network, "heartbeat_timeout 4001 pong_timeout"),
        (.network, .reconnect, .slow, "slow_consumer 4002"),
        (.network, .stop, .gaveUp, "gave_up"),
    ]
}

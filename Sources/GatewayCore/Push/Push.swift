// SPDX-License-Identifier: Apache-2.0

/// An accepted push. All sessions that it is pushed into share the object.
package final class Push: Sendable {
    /// The sessions that a push was addressed to.
    package enum Audience: Sendable, Hashable {
        case session
        /// The sessions of a user.
        case user(String)
        /// All sessions.
        case all
    }

    /// The `id` of `push`, by which clients and operators recognize the push.
    package let id: ULID
    package let content: PushContent
    /// The time to live in milliseconds; nil: until the session ends.
    package let timeToLive: Int64?
    package let audience: Audience
    /// Whether this is the retry of an undelivered push, which isn't listed as undelivered again.
    package let isRetry: Bool

    package init(id: ULID, _ request: PushRequest, to audience: Audience, isRetry: Bool = false) {
        self.id = id
        content = request.content
        timeToLive = request.timeToLive
        self.audience = audience
        self.isRetry = isRetry
    }

    package var request: PushRequest { PushRequest(content, timeToLive: timeToLive) }

    /// The bytes that the object adds to the memory usage of a session. A broadcast is shared by many sessions.
    var footprint: Int { audience == .all ? 64 : 64 + content.byteCount }
}

/// The reason why a push wasn't delivered.
package enum PushFailure: String, Sendable, CaseIterable {
    /// The user has no session.
    case noSession = "no_session"
    /// The session ended before the client acknowledged the push.
    case sessionEnded = "session_ended"
    /// `ttl` was over before the client acknowledged the push.
    case expired
    /// The outbox of the session has no room.
    case outboxFull = "outbox_full"
    /// The memory budget of the session or of the gateway is exhausted.
    case memoryLimit = "memory_limit"
    /// A spoken response is being sent, and only one audio stream may be open.
    case audioOpen = "audio_open"
    /// The store can't commit at the moment.
    case storeUnavailable = "store_unavailable"
    /// The node of the session didn't respond. The push may have been delivered.
    case nodeUnreachable = "node_unreachable"
}

/// The outcome of pushing into a session.
package enum PushOutcome: Sendable, Hashable {
    /// The push is in the outbox; the number is the `seq` of its last message.
    case queued(sequence: UInt64, key: RequestKey)
    case failed(PushFailure)
}

/// A push that a session accepted but whose client didn't acknowledge it.
package struct FailedPush: Sendable {
    package let push: Push
    package let reason: PushFailure

    package init(_ push: Push, _ reason: PushFailure) {
        self.push = push
        self.reason = reason
    }
}

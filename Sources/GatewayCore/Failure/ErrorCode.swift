// SPDX-License-Identifier: Apache-2.0

/// The stable error codes that clients receive in `error.code`.
///
/// Protocol page, section "Errors". A code is never renamed and never reused for another meaning.
package enum ErrorCode: String, Sendable, CaseIterable {
    case invalidJSON = "invalid_json"
    case invalidMessage = "invalid_message"
    case unsupportedType = "unsupported_type"
    case messageTooLarge = "message_too_large"
    case audioTooLarge = "audio_too_large"
    case invalidAudio = "invalid_audio"
    case rateLimited = "rate_limited"
    case tooFast = "too_fast"
    case quotaExceeded = "quota_exceeded"
    case duplicateID = "duplicate_id"
    case notFound = "not_found"
    case unauthorized
    case tokenExpired = "token_expired"
    case forbidden
    case originDenied = "origin_denied"
    case connectionLimit = "connection_limit"
    case sessionLimit = "session_limit"
    case sessionExpired = "session_expired"
    case memoryLimit = "memory_limit"
    case slowConsumer = "slow_consumer"
    case heartbeatTimeout = "heartbeat_timeout"
    case tooManyViolations = "too_many_violations"
    case upstreamUnavailable = "upstream_unavailable"
    case upstreamTimeout = "upstream_timeout"
    case upstreamError = "upstream_error"
    case cancelled
    case draining
    case overloaded
    case `internal`
    /// The request isn't a valid WebSocket upgrade (HTTP responses only).
    case invalidUpgrade = "invalid_upgrade"
    /// The request head exceeds its limits (HTTP responses only).
    case headerTooLarge = "header_too_large"

    /// Whether the message violates the protocol. Violations are counted toward `messages.max_violations`.
    package var isViolation: Bool {
        switch self {
        case .invalidJSON, .invalidMessage, .unsupportedType, .messageTooLarge, .audioTooLarge, .invalidAudio: true
        default: false
        }
    }

    /// Whether the gateway rejects a well-formed message for now. Rejections are counted toward `limits.refusals_per_minute`.
    package var isRejection: Bool {
        switch self {
        case .rateLimited, .tooFast, .overloaded, .memoryLimit, .duplicateID: true
        default: false
        }
    }

    /// Whether the same message can succeed later, unchanged.
    package var isRetryable: Bool {
        switch self {
        case .rateLimited, .tooFast, .quotaExceeded, .connectionLimit, .sessionLimit, .memoryLimit, .upstreamUnavailable, .upstreamTimeout,
            .upstreamError,
            .draining, .overloaded, .internal, .slowConsumer, .heartbeatTimeout:
            true
        default: false
        }
    }
}

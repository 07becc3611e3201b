// SPDX-License-Identifier: Apache-2.0

/// The outcome of a client's attempt to resume a session.
package enum ResumeOutcome: Int, MetricLabel {
    case resumed
    /// Resumed, but messages that the client hasn't received were dropped.
    case resumedWithLoss
    /// The session has ended; the client got a new one.
    case expired
    /// No session has the token; the client got a new one.
    case unknown
    /// The client's last sequence number is higher than the session's; the client got a new session.
    case badSequence

    package init(_ error: ResumeError) {
        switch error {
        case .expired: self = .expired
        case .unknown: self = .unknown
        case .badLastSequence: self = .badSequence
        }
    }

    package var label: String {
        switch self {
        case .resumedWithLoss: "resumed_with_loss"
        case .badSequence: "bad_last_seq"
        case .resumed, .expired, .unknown: "\(self)"
        }
    }
}

/// A rate limit, by its configuration key.
package enum RateRule: Int, MetricLabel {
    case text, audio, chunk, realtime, control, byte, rejection, violation, global, renewal

    /// The rule that an error reports; nil for an error that no rate limit caused.
    package init?(_ reason: ErrorReason) {
        switch reason {
        case .textRate: self = .text
        case .audioRate: self = .audio
        case .chunkRate: self = .chunk
        case .audioPace: self = .realtime
        case .controlRate: self = .control
        case .byteRate: self = .byte
        case .tooManyRejections: self = .rejection
        case .tooManyViolations: self = .violation
        case .globalRate: self = .global
        case .renewalRate: self = .renewal
        default: return nil
        }
    }

    package var label: String {
        switch self {
        case .text: Limit.text.name
        case .audio: Limit.audio.name
        case .chunk: Limit.chunk.name
        case .realtime: Limit.realtime.name
        case .control: Limit.control.name
        case .byte: Limit.byte.name
        case .rejection: Limit.rejection.name
        case .violation: Limit.violation.name
        case .global: "limits.global_per_second"
        case .renewal: "auth.failures_per_minute"
        }
    }
}

/// The reason why a client's credentials were rejected.
package enum AuthFailure: Int, MetricLabel {
    case missing, conflicting, inURL, throttled, certificate
    case malformed, unknownKey, signature, expired, notYetValid, lifetime, issuer, audience, claims, revoked, used

    package init(_ fault: TokenFault) {
        switch fault {
        case .tooLong, .malformed, .invalidEncoding, .invalidJSON, .duplicateMember, .missingAlgorithm, .unknownAlgorithm, .unknownType,
            .invalidKeyID, .forbiddenMember:
            self = .malformed
        case .unknownKey: self = .unknownKey
        case .invalidSignature: self = .signature
        case .expired: self = .expired
        case .notYetValid, .issuedInFuture: self = .notYetValid
        case .lifetimeTooLong: self = .lifetime
        case .wrongIssuer: self = .issuer
        case .wrongAudience: self = .audience
        case .missingExpiry, .invalidTime, .missingUser, .invalidUser, .invalidTokenID, .parleyNotObject, .unknownLimit, .invalidLimit,
            .unknownQuota, .invalidQuota, .invalidPaths, .invalidRoutes, .invalidTypes, .invalidMeta, .invalidSession, .invalidRealtime,
            .invalidUses:
            self = .claims
        case .revoked: self = .revoked
        case .used: self = .used
        }
    }

    /// The reason of a rejected upgrade; nil for a rejection with another cause, and for that of a token, whose fault has more detail.
    package init?(_ reason: ErrorReason) {
        switch reason {
        case .credentialsMissing: self = .missing
        case .conflictingCredentials: self = .conflicting
        case .credentialsInURL: self = .inURL
        case .tokenFailures: self = .throttled
        case .missingCertificateName: self = .certificate
        case .invalidBearerToken: self = .malformed
        default: return nil
        }
    }

    package var label: String {
        switch self {
        case .inURL: "in_url"
        case .unknownKey: "unknown_key"
        case .notYetValid: "not_yet_valid"
        default: "\(self)"
        }
    }
}

/// A part of a session's memory usage, by the name that `status` reports.
package enum MemoryPart: Int, MetricLabel {
    case base, receiveBuffer, assembler, deflate, socketQueue
    case outbox, history, duplicateIDs, upstreamQueue, upstreamAnswers, requests, grant

    package var label: String {
        switch self {
        case .receiveBuffer: "receive_buffer"
        case .socketQueue: "socket_queue"
        case .duplicateIDs: "duplicate_ids"
        case .upstreamQueue: "upstream_queue"
        case .upstreamAnswers: "upstream_answers"
        case .base, .assembler, .deflate, .outbox, .history, .requests, .grant: "\(self)"
        }
    }
}

extension MemoryUsage {
    package subscript(part: MemoryPart) -> Int {
        switch part {
        case .base: Self.base
        case .receiveBuffer: connection.receiveBuffer
        case .assembler: connection.assembler
        case .deflate: connection.deflate
        case .socketQueue: connection.socketQueue
        case .outbox: outbox
        case .history: history
        case .duplicateIDs: duplicateIDs
        case .upstreamQueue: upstreamQueue
        case .upstreamAnswers: upstreamAnswers
        case .requests: requests
        case .grant: grant
        }
    }
}

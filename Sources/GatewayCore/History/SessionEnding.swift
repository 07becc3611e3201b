// SPDX-License-Identifier: Apache-2.0

/// The reason why a session ended, in its log line and its report.
package enum SessionEnding: String, Sendable, CaseIterable {
    case bye
    /// `sessions.ttl`, `sessions.idle` or `sessions.resume_window`
    case expired
    case closedByOperator = "closed_by_operator"
    case tooManyViolations = "too_many_violations"
    case memoryLimit = "memory_limit"
    case unauthorized
    /// More than `sessions.max_detached` sessions were detached.
    case displaced

    /// Returns nil for a code after which the session can be resumed.
    package init?(_ code: CloseCode) {
        switch code {
        case .normal: self = .bye
        case .sessionExpired: self = .expired
        case .endedByOperator: self = .closedByOperator
        case .tooManyViolations: self = .tooManyViolations
        case .memoryLimit: self = .memoryLimit
        case .unauthorized: self = .unauthorized
        default: return nil
        }
    }
}

/// How a session came to its end, as its log line and its report tell it.
package enum SessionEnding: String, Sendable, CaseIterable {
    case bye
    /// `sessions.ttl`, `sessions.idle` or `sessions.resume_window`
    case expired
    case closedByOperator = "closed_by_operator"
    case tooManyViolations = "too_many_violations"
    case memoryLimit = "memory_limit"
    case unauthorized
    /// A newer connection of the same user.
    case evicted
    /// There were more sessions without a connection than `sessions.max_detached`.
    case displaced

    /// Nil for a code that lets the session wait to be resumed.
    package init?(_ code: CloseCode) {
        switch code {
        case .normal: self = .bye
        case .sessionExpired: self = .expired
        case .endedByOperator: self = .closedByOperator
        case .tooManyViolations: self = .tooManyViolations
        case .memoryLimit: self = .memoryLimit
        case .unauthorized: self = .unauthorized
        case .evicted: self = .evicted
        default: return nil
        }
    }
}

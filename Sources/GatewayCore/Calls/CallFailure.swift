/// The failure of a call or of an attempt: the error for the client, the outcome for the breaker, and whether a retry does any harm.
package struct CallFailure: Error, Sendable {
    /// The reason that the client gets: it reveals nothing about the upstream.
    package var reason: ErrorReason
    /// For the log, without message text.
    package var details: String?
    /// Whether the same request can succeed later.
    package var isRetryable = true
    /// Milliseconds, from the upstream or until a breaker half-opens.
    package var retryAfter: Int64?
    /// Whether the request may have reached the upstream: then only a repeatable one is retried.
    package var hasReached = true
    package var outcome = CircuitBreaker.Outcome.failure
    /// The endpoint that the failed attempt went to; nil where none was chosen.
    package var endpoint: Int?
    /// Connects the line in the log with the error that the client is sent.
    package var correlationID: ULID?

    package var code: ErrorCode { reason.code }

    package init(_ reason: ErrorReason, details: String? = nil) {
        self.reason = reason
        self.details = details
    }

    /// No connection: refused, no such host, certificate wrong.
    package static func unreachable(_ details: String) -> CallFailure {
        var failure = CallFailure(.upstreamUnreachable, details: details)
        failure.hasReached = false
        return failure
    }

    /// No endpoint takes requests for so long.
    package static func breakerOpen(wait: Instant.Duration) -> CallFailure {
        var failure = CallFailure(.breakerOpen)
        failure.setRetry(after: max(.nanoseconds(1), wait))
        failure.hasReached = false
        failure.outcome = .neither
        return failure
    }

    /// Rounded up to whole milliseconds.
    package mutating func setRetry(after wait: Instant.Duration) { retryAfter = (wait + .nanoseconds(999_999)).milliseconds }

    /// `upstreams.<name>.max_waiting`
    package static var queueFull: CallFailure {
        var failure = CallFailure(.permitQueueFull)
        failure.hasReached = false
        failure.outcome = .neither
        return failure
    }

    package static func timeout(_ phase: CallTimeouts.Phase) -> CallFailure {
        switch phase {
        case .waiting:
            var failure = CallFailure(.permitTimeout)
            failure.hasReached = false
            failure.outcome = .neither
            return failure
        case .connecting:
            var failure = CallFailure(.connectTimeout)
            failure.hasReached = false
            return failure
        case .sending, .awaiting, .pausing: return CallFailure(.responseTimeout)
        case .answering: return CallFailure(.responseTooLong)
        }
    }

    /// The answer ended before its end.
    package static func brokenOff(_ details: String? = nil) -> CallFailure {
        CallFailure(.responseIncomplete, details: details)
    }

    /// What came isn't what the protocol allows.
    package static func invalid(_ details: String) -> CallFailure {
        CallFailure(.responseInvalid, details: details)
    }

    /// The answer arrived whole and can't be used. A request can provoke that, so it says nothing about the endpoint.
    package static func unusable(_ details: String) -> CallFailure {
        var failure = invalid(details)
        failure.outcome = .neither
        return failure
    }

    package static func tooLong(_ details: String) -> CallFailure {
        var failure = CallFailure(.responseTooLarge, details: details)
        failure.isRetryable = false
        // What a client asks for must not keep the upstream from others.
        failure.outcome = .neither
        return failure
    }

    /// The upstream says no.
    package static func reported(retryable: Bool?, retryAfter: Int64?) -> CallFailure {
        var failure = CallFailure(.upstreamFailed, details: "it reported an error")
        failure.isRetryable = retryable ?? true
        failure.retryAfter = retryAfter
        // Only an upstream that says so is unwell; another request may be answered.
        failure.outcome =
            switch retryable {
            case true: .failure
            case false: .success
            case nil: .neither
            }
        return failure
    }

    /// An HTTP status that isn't 2xx.
    package static func status(_ status: Int, retryAfter: Int64?) -> CallFailure {
        let details = "status \(status)"
        switch status {
        case 429, 503:
            var failure = CallFailure(.upstreamBusy, details: details)
            failure.retryAfter = retryAfter
            failure.outcome = status == 429 ? .neither : .failure
            // It says that it hasn't worked on it.
            failure.hasReached = false
            return failure
        case 500...599:
            var failure = CallFailure(.upstreamFailed, details: details)
            failure.retryAfter = retryAfter
            return failure
        default:
            var failure = CallFailure(.upstreamRejected, details: details)
            failure.isRetryable = status == 408
            // The gateway's own credentials, or its time: that is every client's. Anything else is about the one request.
            failure.outcome = [401, 403, 408].contains(status) ? .failure : .success
            return failure
        }
    }
}

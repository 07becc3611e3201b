// SPDX-License-Identifier: Apache-2.0

/// The failure of a call or of an attempt: the error for the client, the outcome for the circuit breaker, and whether a retry is safe.
package struct CallFailure: Error, Sendable {
    /// The reason that is sent to the client; reveals nothing about the upstream.
    package var reason: ErrorReason
    /// The details for the log; never contains message content.
    package var details: String?
    /// Whether the same request can succeed later.
    package var isRetryable = true
    /// The delay before a retry in milliseconds, as reported by the upstream or until a breaker half-opens.
    package var retryAfter: Int64?
    /// Whether the upstream may have processed the request. If so, only a repeatable request is retried.
    package var mayHaveBeenProcessed = true
    package var outcome = CircuitBreaker.Outcome.failure
    /// The index of the endpoint that the attempt was sent to; nil when none was picked.
    package var endpoint: Int?
    /// The id that connects the log line with the error sent to the client.
    package var correlationID: ULID?

    package var code: ErrorCode { reason.code }

    package init(_ reason: ErrorReason, details: String? = nil) {
        self.reason = reason
        self.details = details
    }

    /// No connection could be opened: connection refused, unknown host, or invalid certificate.
    package static func unreachable(_ details: String) -> CallFailure {
        var failure = CallFailure(.upstreamUnreachable, details: details)
        failure.mayHaveBeenProcessed = false
        return failure
    }

    /// No endpoint admits requests until `wait` has elapsed.
    package static func breakerOpen(wait: Instant.Duration) -> CallFailure {
        var failure = CallFailure(.breakerOpen)
        failure.setRetry(after: max(.nanoseconds(1), wait))
        failure.mayHaveBeenProcessed = false
        failure.outcome = .neither
        return failure
    }

    /// Sets ``retryAfter``, rounded up to whole milliseconds.
    package mutating func setRetry(after wait: Instant.Duration) { retryAfter = (wait + .nanoseconds(999_999)).milliseconds }

    /// The queue for permits is full (`upstreams.<name>.max_waiting`).
    package static var queueFull: CallFailure {
        var failure = CallFailure(.permitQueueFull)
        failure.mayHaveBeenProcessed = false
        failure.outcome = .neither
        return failure
    }

    package static func timeout(_ phase: CallTimeouts.Phase) -> CallFailure {
        switch phase {
        case .waiting:
            var failure = CallFailure(.permitTimeout)
            failure.mayHaveBeenProcessed = false
            failure.outcome = .neither
            return failure
        case .connecting:
            var failure = CallFailure(.connectTimeout)
            failure.mayHaveBeenProcessed = false
            return failure
        case .sending, .awaiting, .backoff: return CallFailure(.responseTimeout)
        case .responding: return CallFailure(.responseTooLong)
        }
    }

    /// The connection closed before the response was complete.
    package static func incompleteResponse(_ details: String? = nil) -> CallFailure {
        CallFailure(.responseIncomplete, details: details)
    }

    /// The response violates the upstream's protocol.
    package static func invalid(_ details: String) -> CallFailure {
        CallFailure(.responseInvalid, details: details)
    }

    /// The response is complete, but unusable. The request itself can cause that, so the breaker doesn't count a failure.
    package static func unusable(_ details: String) -> CallFailure {
        var failure = invalid(details)
        failure.outcome = .neither
        return failure
    }

    package static func tooLong(_ details: String) -> CallFailure {
        var failure = CallFailure(.responseTooLarge, details: details)
        failure.isRetryable = false
        // One client's requests must not open the breaker for all clients.
        failure.outcome = .neither
        return failure
    }

    /// The upstream reported an error.
    package static func reported(retryable: Bool?, retryAfter: Int64?) -> CallFailure {
        var failure = CallFailure(.upstreamFailed, details: "the upstream reported an error")
        failure.isRetryable = retryable ?? true
        failure.retryAfter = retryAfter
        // Only an error marked as retryable is attributed to the endpoint; one marked as not retryable is about the request.
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
            // Both statuses mean that the request wasn't processed.
            failure.mayHaveBeenProcessed = false
            return failure
        case 500...599:
            var failure = CallFailure(.upstreamFailed, details: details)
            failure.retryAfter = retryAfter
            return failure
        default:
            var failure = CallFailure(.upstreamRejected, details: details)
            failure.isRetryable = status == 408
            // Rejected gateway credentials and timeouts affect every client; all other statuses are about this request.
            failure.outcome = [401, 403, 408].contains(status) ? .failure : .success
            return failure
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

extension CallStateMachine {
    /// The state of one attempt.
    package struct Attempt: Sendable, Hashable {
        package enum Progress: Sendable, Hashable {
            case connecting
            /// The connection is open, and the request hasn't been sent.
            case open
            /// The request was sent.
            case sent
        }

        /// Unique within the request.
        package let number: Int
        package let pick: LoadBalancer.Pick
        package internal(set) var progress = Progress.connecting
        /// Bytes of the response read so far, including bytes without content.
        package internal(set) var readBytes = 0
    }

    /// An attempt that has ended or must be cancelled, and the outcome for the breaker of its endpoint.
    package struct EndedAttempt: Sendable, Hashable {
        package let number: Int
        package let pick: LoadBalancer.Pick
        package let outcome: CircuitBreaker.Outcome
        /// The reason to cancel the attempt with; nil when the attempt has ended by itself.
        package let cancel: CancelReason?
    }

    /// The permit, or the ticket in the queue, that the owner has to release when the call has ended.
    package enum Permit: Sendable, Hashable {
        case none
        /// The call is still queued under this ticket.
        case queued(UInt64)
        case held
    }

    /// The next step, taken after attempts were ended.
    package enum Next: Sendable {
        case none
        /// Open an attempt at the picked endpoint. When `timer` is set, call ``CallStateMachine/timerFired(at:)`` at that time.
        case openAttempt(Attempt, timer: Instant?)
        /// Pick an endpoint that isn't in ``CallStateMachine/tried``, then call ``CallStateMachine/picked(_:at:)`` or
        /// ``CallStateMachine/foundNoEndpoint(retryAfter:at:)``.
        case pickEndpoint
        /// If the retry budget admits a hedge, pick another endpoint and call ``CallStateMachine/picked(_:at:)``.
        case pickHedge
        /// Ask the pool whether a retry is admitted, then call ``CallStateMachine/retry(isAdmitted:random:at:)``.
        case requestRetry(CallFailure)
        /// Report the failure, and call ``CallStateMachine/timerFired(at:)`` at that time for the retry.
        case schedule(at: Instant, CallFailure)
        /// The call has failed. No action follows.
        case fail(CallFailure, CallTiming, Permit)
        /// The call was cancelled. No action follows.
        case end(Permit)
        /// The permit was granted after the call had ended: release it.
        case releasePermit
        /// The pick is no longer needed: return it.
        case returnPick(LoadBalancer.Pick)
    }

    /// The actions for an input off the hot path, to be performed in order: end the attempts, then take the next step.
    package struct Actions: Sendable {
        package var first: EndedAttempt?
        package var second: EndedAttempt?
        package var next = Next.none
    }

    /// The action after a request was sent.
    package enum RequestSent: Sendable, Hashable {
        case none
        /// Report this many bytes of the client's text as consumed.
        case consumed(Int)
        /// Send the chunks of ``CallStateMachine/nextBuffered(at:)`` until it returns nil; then send the end of the input if
        /// ``CallStateMachine/shouldEndInput`` is true.
        case flush
    }

    /// The action for a chunk of audio.
    package enum AudioAction: Sendable, Hashable {
        case send(attempt: Int)
        /// The call buffers the chunk until an attempt can send it.
        case buffered
        case ignored
    }

    /// The action for a part of the response.
    package enum Received: Sendable {
        case ignore
        case deliver
        /// Deliver the first content, and cancel the hedge timer and the slower attempt.
        case deliverFirst(loser: EndedAttempt?)
        /// The response exceeds its limit.
        case fail(Actions)
    }

    /// The action for the last part of the response.
    package enum Completed: Sendable {
        case ignore
        /// The call is complete: report success for the endpoint, release the permit, deliver the content.
        case complete(LoadBalancer.Pick, loser: EndedAttempt?, CallTiming)
        case fail(Actions)
    }
}

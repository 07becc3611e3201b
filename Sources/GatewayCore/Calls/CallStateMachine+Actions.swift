extension CallStateMachine {
    /// One attempt as its call knows it.
    package struct Attempt: Sendable, Hashable {
        package enum Progress: Sendable, Hashable {
            case connecting
            /// There is a connection, which the request waits for.
            case open
            /// The request is on its way.
            case sent
        }

        /// Unique within the request.
        package let number: Int
        package let pick: LoadBalancer.Pick
        package internal(set) var progress = Progress.connecting
        /// Bytes of the response that were read, those without content included.
        package internal(set) var readBytes = 0
    }

    /// An attempt that has ended, and the outcome for the breaker of its endpoint.
    package struct Ending: Sendable, Hashable {
        package let number: Int
        package let pick: LoadBalancer.Pick
        package let outcome: CircuitBreaker.Outcome
        /// Nil where the attempt has ended by itself.
        package let cancel: CancelReason?
    }

    /// The permit that a call leaves behind.
    package enum Permit: Sendable, Hashable {
        case none
        /// Still in the queue, under this ticket.
        case queued(UInt64)
        case held
    }

    /// The step after the endings.
    package enum Next: Sendable {
        case none
        /// Open an attempt at the picked endpoint. With `timer`, call ``CallStateMachine/timerFired(at:)`` then.
        case openAttempt(Attempt, timer: Instant?)
        /// Pick an endpoint that isn't among ``CallStateMachine/tried``: then ``CallStateMachine/picked(_:at:)`` or
        /// ``CallStateMachine/foundNoEndpoint(retryAfter:at:)``.
        case pickEndpoint
        /// Pick another endpoint for a hedge, if the retry budget has one to spare: then ``CallStateMachine/picked(_:at:)``, or nothing.
        case pickHedge
        /// Ask the pool whether a retry is admitted: then ``CallStateMachine/retry(isAdmitted:random:at:)``.
        case requestRetry(CallFailure)
        /// The failure is going to be retried: report it, and call ``CallStateMachine/timerFired(at:)`` then.
        case schedule(at: Instant, CallFailure)
        /// The call has failed. Last.
        case fail(CallFailure, CallTiming, Permit)
        /// The call was cancelled. Last.
        case end(Permit)
        /// The permit has arrived after the end.
        case releasePermit
        /// The pick isn't needed any more.
        case returnPick(LoadBalancer.Pick)
    }

    /// The actions of an input that isn't on the path of every event: first the endings, then the next step.
    package struct Actions: Sendable {
        package var first: Ending?
        package var second: Ending?
        package var next = Next.none
    }

    package enum Connected: Sendable, Hashable {
        case none
        /// The text of the request is on its way. Its bytes.
        case consumed(Int)
        /// Send what ``CallStateMachine/nextBuffered(at:)`` returns, until it returns nil; then the end, if ``CallStateMachine/endsInput``.
        case flush
    }

    package enum Audio: Sendable, Hashable {
        case send(attempt: Int)
        /// The call keeps it until an attempt can send it.
        case buffered
        case ignored
    }

    package enum Received: Sendable {
        case ignore
        case deliver
        /// The first content: the timer is void, and a slower attempt is cancelled.
        case deliverFirst(loser: Ending?)
        /// The response is over its limit.
        case fail(Actions)
    }

    package enum Completed: Sendable {
        case ignore
        /// The call is complete: report success for the endpoint, release the permit, deliver.
        case complete(LoadBalancer.Pick, loser: Ending?, CallTiming)
        case fail(Actions)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Failures, retries, deadlines and cancellation.
extension CallStateMachine {
    /// Handles the failure of an attempt.
    package mutating func attemptFailed(_ number: Int, _ failure: CallFailure, at now: Instant) -> Actions {
        fail(number, failure, cancel: nil, at: now)
    }

    mutating func fail(_ number: Int, _ failure: CallFailure, cancel: CancelReason?, at now: Instant) -> Actions {
        var failure = failure
        var actions = Actions()
        func ending(_ attempt: Attempt) -> EndedAttempt {
            failure.endpoint = attempt.pick.index
            return attempt.ending(failure.outcome, cancel: cancel)
        }
        switch state {
        case .attempting(let attempt) where attempt.number == number:
            actions.first = ending(attempt)
            state = .picking
            avoid(attempt.pick.index)
            actions.next = failed(failure, at: now)
        case .responding(let attempt) where attempt.number == number:
            actions.first = ending(attempt)
            actions.next = fail(failure, permit: .held, at: now)
        case .racing(let first, let second) where first.number == number:
            // The other attempt may still get a response.
            actions.first = ending(first)
            state = .attempting(second)
            avoid(first.pick.index)
            timeouts.enter(second.progress == .connecting ? .connecting : .awaiting, at: now)
        case .racing(let first, let second) where second.number == number:
            actions.first = ending(second)
            state = .attempting(first)
            avoid(second.pick.index)
        default: break
        }
        return actions
    }

    /// Makes further attempts prefer other endpoints.
    private mutating func avoid(_ endpoint: Int) {
        if tried.last != endpoint { tried.append(endpoint) }
    }

    /// Requests a retry after the last attempt has failed, or fails the call if the policy doesn't allow a retry.
    private mutating func failed(_ failure: CallFailure, at now: Instant) -> Next {
        let isAudioUnsent: Bool = if case .streaming = input { false } else { true }
        guard isAudioUnsent, failure.isRetryable, attempts <= policy.retries, failure.retryAfter ?? 0 <= Self.longestRetryAfter,
            !failure.mayHaveBeenProcessed || policy.isRepeatable, !timeouts.isOutOfTime(at: now)
        else { return fail(failure, permit: .held, at: now) }
        state = .requestingRetry(failure)
        return .requestRetry(failure)
    }

    /// Handles the pool's decision on a retry.
    ///
    /// - Parameter random: 0 up to but not including 1
    package mutating func retry(isAdmitted: Bool, random: Double, at now: Instant) -> Next {
        guard case .requestingRetry(let failure) = state else { return .none }
        guard isAdmitted else { return fail(failure, permit: .held, at: now) }
        state = .backingOff
        timeouts.enter(.backoff, at: now)
        let delay = max(policy.backoff.delay(after: attempts, random: random), .milliseconds(failure.retryAfter ?? 0))
        return .schedule(at: now + delay, failure)
    }

    mutating func fail(_ failure: CallFailure, permit: Permit, at now: Instant) -> Next {
        end()
        timing.total = now - createdAt
        return .fail(failure, timing, permit)
    }

    mutating func end() {
        state = .ended
        if case .buffering = input { input = .streaming(isEnded: true) }
    }

    // MARK: Time

    /// Handles the timer of ``Next/openAttempt(_:timer:)`` or ``Next/schedule(at:_:)``.
    package mutating func timerFired(at now: Instant) -> Next {
        switch state {
        case .backingOff:
            state = .picking
            return .pickEndpoint
        case .attempting(let attempt):
            guard attempts == 1 else { return .none }
            avoid(attempt.pick.index)
            return .pickHedge
        case .created, .queued, .picking, .racing, .responding, .requestingRetry, .ended: return .none
        }
    }

    /// Checks the deadline of the current phase, and cancels attempts that exceed it.
    package mutating func tick(at now: Instant) -> Actions {
        guard !isEnded, let phase = timeouts.overdue(at: now) else { return Actions() }
        var failure = CallFailure.timeout(phase)
        var actions = Actions()
        switch state {
        case .queued(let ticket):
            actions.next = fail(failure, permit: .queued(ticket), at: now)
        case .attempting(let attempt):
            failure.endpoint = attempt.pick.index
            actions.first = attempt.ending(failure.outcome, cancel: .timeout)
            state = .picking
            avoid(attempt.pick.index)
            actions.next = failed(failure, at: now)
        case .racing(let first, let second):
            failure.endpoint = first.pick.index
            actions.first = first.ending(failure.outcome, cancel: .timeout)
            actions.second = second.ending(failure.outcome, cancel: .timeout)
            state = .picking
            avoid(first.pick.index)
            actions.next = failed(failure, at: now)
        case .responding(let attempt):
            failure.endpoint = attempt.pick.index
            actions.first = attempt.ending(failure.outcome, cancel: .timeout)
            actions.next = fail(failure, permit: .held, at: now)
        case .backingOff:
            actions.next = fail(failure, permit: .held, at: now)
        default: break
        }
        return actions
    }

    /// Cancels the call and its attempts.
    package mutating func cancel(_ reason: CancelReason) -> Actions {
        var actions = Actions()
        switch state {
        case .ended: return actions
        case .created: actions.next = .end(.none)
        case .queued(let ticket): actions.next = .end(.queued(ticket))
        case .picking, .requestingRetry, .backingOff: actions.next = .end(.held)
        case .attempting(let attempt), .responding(let attempt):
            actions.first = attempt.ending(.neither, cancel: reason)
            actions.next = .end(.held)
        case .racing(let first, let second):
            actions.first = first.ending(.neither, cancel: reason)
            actions.second = second.ending(.neither, cancel: reason)
            actions.next = .end(.held)
        }
        end()
        return actions
    }
}

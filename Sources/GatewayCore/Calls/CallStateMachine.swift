// SPDX-License-Identifier: Apache-2.0

/// The state machine of one call to one upstream. It waits for a permit, opens attempts, enforces the deadlines, retries and hedges where
/// that is safe, and returns every permit and pick.
///
/// The owner passes inputs (permits, picks, events of attempts, the clock) and performs the returned actions. Inputs that don't fit the
/// state, such as events of a cancelled attempt, are ignored.
package struct CallStateMachine: ~Copyable {
    enum State: Sendable {
        case created
        case queued(ticket: UInt64)
        /// The permit is held; an endpoint has to be picked.
        case picking
        /// One attempt, whose response hasn't begun.
        case attempting(Attempt)
        /// The hedge is the second.
        case racing(Attempt, Attempt)
        case responding(Attempt)
        /// All attempts have failed; the pool decides on a retry.
        case requestingRetry(CallFailure)
        case backingOff
        case ended
    }

    /// The state of the client's input.
    enum Input: Sendable {
        /// The request contains all input. `unreported` is the number of bytes of text not yet reported as consumed.
        case whole(unreported: Int)
        /// Audio that wasn't sent to any attempt yet.
        case buffering([[UInt8]], isEnded: Bool)
        /// Audio was sent to an attempt: the call can't be retried.
        case streaming(isEnded: Bool)
    }

    /// The longest `Retry-After` that the call waits for, in milliseconds. A longer one is passed to the client instead.
    static let longestRetryAfter: Int64 = 2000
    /// The minimum number of bytes that each part of the response counts toward the limit.
    static let minimumPartBytes = 16

    let policy: CallPolicy
    var state = State.created
    var input: Input
    var timeouts: CallTimeouts
    var timing = CallTiming()
    let createdAt: Instant
    /// The time that the next step of ``timing`` is measured from.
    var markedAt: Instant
    private let earlierAttempts: Int
    var attempts = 0
    /// The indices of the endpoints that this call has tried. Further attempts prefer other endpoints.
    package internal(set) var tried: [Int] = []
    /// Bytes of content received, counted with at least ``minimumPartBytes`` for each part.
    var contentBytes = 0
    /// Bytes of audio that were sent to an attempt and that it hasn't consumed.
    var unconsumed = 0

    /// - Parameter used: the number of attempts of the request's earlier calls; the numbers of this call's attempts continue from it
    package init(_ input: borrowing UpstreamRequest.Input, policy: CallPolicy, earlierAttempts used: Int = 0, at now: Instant) {
        self.policy = policy
        earlierAttempts = used
        self.input =
            switch input {
            case .text(let text): .whole(unreported: text.count)
            case .recording: .whole(unreported: 0)
            case .audio: .buffering([], isEnded: false)
            }
        timeouts = CallTimeouts(policy: policy.timeouts, at: now)
        createdAt = now
        markedAt = now
    }

    /// Bytes of audio buffered for an attempt.
    package var heldBytes: Int {
        if case .buffering(let chunks, _) = input { chunks.reduce(0) { $0 + $1.count } } else { 0 }
    }

    package var isEnded: Bool { if case .ended = state { true } else { false } }

    /// Whether reading responses is paused. A new attempt starts paused, too.
    package var isPaused: Bool { timeouts.isPaused }

    /// Whether audio follows the request.
    package var isStreamed: Bool { if case .whole = input { false } else { true } }

    /// The progress of an attempt; nil when it has ended or belongs to another call.
    package func progress(of number: Int) -> Attempt.Progress? {
        switch state {
        case .attempting(let attempt), .responding(let attempt): attempt.number == number ? attempt.progress : nil
        case .racing(let first, let second):
            first.number == number ? first.progress : second.number == number ? second.progress : nil
        case .created, .queued, .picking, .requestingRetry, .backingOff, .ended: nil
        }
    }

    // MARK: Permits and endpoints

    /// Starts the call with a permit and an endpoint that were available immediately.
    package mutating func start(with pick: LoadBalancer.Pick, at now: Instant) -> Next {
        guard case .created = state else { return .returnPick(pick) }
        return open(pick, at: now)
    }

    package mutating func enqueue(ticket: UInt64) {
        if case .created = state { state = .queued(ticket: ticket) }
    }

    /// Fails the call because the queue is full.
    package mutating func reject(at now: Instant) -> Next {
        guard case .created = state else { return .none }
        return fail(.queueFull, permit: .none, at: now)
    }

    package mutating func permitAcquired(at now: Instant) -> Next {
        switch state {
        case .created, .queued:
            state = .picking
            timing.queue = now - createdAt
            return .pickEndpoint
        // The call was cancelled before the permit was granted.
        case .ended: return .releasePermit
        case .picking, .attempting, .racing, .responding, .requestingRetry, .backingOff: return .none
        }
    }

    /// Handles the pick that ``Next/pickEndpoint`` or ``Next/pickHedge`` requested.
    package mutating func picked(_ pick: LoadBalancer.Pick, at now: Instant) -> Next {
        switch state {
        case .picking: return open(pick, at: now)
        case .attempting(let first):
            let second = makeAttempt(at: pick)
            state = .racing(first, second)
            return .openAttempt(second, timer: nil)
        case .created, .queued, .racing, .responding, .requestingRetry, .backingOff, .ended: return .returnPick(pick)
        }
    }

    /// Fails the call because no endpoint admits requests.
    ///
    /// - Parameter wait: the time until an endpoint may admit requests; zero when unknown
    package mutating func foundNoEndpoint(retryAfter wait: Instant.Duration, at now: Instant) -> Next {
        guard case .picking = state else { return .none }
        return fail(.breakerOpen(wait: wait == .zero ? .seconds(1) : wait), permit: .held, at: now)
    }

    private mutating func open(_ pick: LoadBalancer.Pick, at now: Instant) -> Next {
        let attempt = makeAttempt(at: pick)
        state = .attempting(attempt)
        markedAt = now
        timeouts.enter(.connecting, at: now)
        let hedges = attempts == 1 && policy.hedgeAfter > .zero && policy.isRepeatable && !isStreamed
        return .openAttempt(attempt, timer: hedges ? now + policy.hedgeAfter : nil)
    }

    private mutating func makeAttempt(at pick: LoadBalancer.Pick) -> Attempt {
        attempts += 1
        return Attempt(number: lastAttemptNumber, pick: pick)
    }

    /// The number of the last attempt.
    package var lastAttemptNumber: Int { earlierAttempts + attempts }

    // MARK: Input

    package mutating func send(_ chunk: [UInt8], at now: Instant) -> AudioAction {
        guard !isEnded else { return .ignored }
        switch input {
        case .buffering(var chunks, isEnded: false):
            if chunks.isEmpty, let number = streamingAttempt {
                input = .streaming(isEnded: false)
                note(sent: chunk.count, at: now)
                return .send(attempt: number)
            }
            // The array grows in place, without a copy.
            input = .streaming(isEnded: false)
            chunks.append(chunk)
            input = .buffering(chunks, isEnded: false)
            return .buffered
        case .streaming(isEnded: false):
            guard let number = streamingAttempt else { return .ignored }
            note(sent: chunk.count, at: now)
            return .send(attempt: number)
        case .whole, .buffering, .streaming: return .ignored
        }
    }

    /// Removes and returns the next buffered chunk.
    package mutating func nextBuffered(at now: Instant) -> [UInt8]? {
        guard case .buffering(let chunks, let isEnded) = input, let first = chunks.first else { return nil }
        // A copy is acceptable: a connection usually opens quickly, so few chunks are buffered.
        input = chunks.count == 1 ? .streaming(isEnded: isEnded) : .buffering(Array(chunks.dropFirst()), isEnded: isEnded)
        note(sent: first.count, at: now)
        return first
    }

    /// Ends the input.
    ///
    /// - Returns: the attempt to send the end to; nil when no attempt is ready for audio
    package mutating func endInput(at now: Instant) -> Int? {
        switch input {
        case .buffering(let chunks, isEnded: false):
            input = .buffering(chunks, isEnded: true)
            // The end follows the last chunk.
            guard chunks.isEmpty else { return nil }
        case .streaming(isEnded: false): input = .streaming(isEnded: true)
        case .whole, .buffering, .streaming: return nil
        }
        guard let number = streamingAttempt else { return nil }
        markedAt = now
        timeouts.enter(.awaiting, at: now)
        // If the response began before the end of the input, the time to its first content is 0.
        timing.first = .zero
        return number
    }

    /// Whether to send the end of the input after the last chunk of ``nextBuffered(at:)``.
    package var shouldEndInput: Bool {
        switch input {
        case .whole: false
        case .buffering(let chunks, let isEnded): isEnded && chunks.isEmpty
        case .streaming(let isEnded): isEnded
        }
    }

    /// Notes that an attempt has consumed bytes of audio.
    ///
    /// - Returns: whether the attempt belongs to this call
    package mutating func consumed(_ bytes: Int, by number: Int, at now: Instant) -> Bool {
        guard progress(of: number) != nil else { return false }
        unconsumed = max(0, unconsumed - bytes)
        timeouts.setUnconsumed(unconsumed, at: now)
        return true
    }

    private mutating func note(sent bytes: Int, at now: Instant) {
        unconsumed += bytes
        timeouts.setUnconsumed(unconsumed, at: now)
    }

    /// The attempt whose progress counts as the call's.
    var leading: Attempt? {
        switch state {
        case .attempting(let attempt), .racing(let attempt, _), .responding(let attempt): attempt
        case .created, .queued, .picking, .requestingRetry, .backingOff, .ended: nil
        }
    }

    /// The attempt that audio can be sent to.
    private var streamingAttempt: Int? { leading.flatMap { $0.progress == .sent ? $0.number : nil } }

    // MARK: Back-pressure

    /// Pauses the deadlines while the client doesn't read.
    ///
    /// - Returns: whether to pause the attempts
    package mutating func pause(at now: Instant) -> Bool {
        guard !isEnded, !isPaused else { return false }
        timeouts.setPaused(true, at: now)
        return true
    }

    /// Resumes the deadlines.
    ///
    /// - Returns: whether to resume the attempts
    package mutating func resume(at now: Instant) -> Bool {
        guard !isEnded, isPaused else { return false }
        timeouts.setPaused(false, at: now)
        return true
    }
}

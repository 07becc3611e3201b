// SPDX-License-Identifier: Apache-2.0

/// The events of attempts.
extension CallStateMachine {
    /// Notes that the connection of an attempt is open; the request isn't sent yet.
    package mutating func opened(_ number: Int, at now: Instant) {
        update(number, at: now) { if $0.progress == .connecting { $0.progress = .open } }
    }

    /// Notes that the request was sent.
    package mutating func requestSent(_ number: Int, at now: Instant) -> RequestSent {
        guard update(number, at: now, { $0.progress = .sent }), leading?.number == number else { return .none }
        switch input {
        case .whole(0), .streaming: return .none
        case .whole(let unreported):
            input = .whole(unreported: 0)
            return .consumed(unreported)
        case .buffering: return .flush
        }
    }

    /// Changes an attempt whose request isn't sent yet. Only the first attempt determines the phase and the timing of the call.
    ///
    /// - Returns: whether there is such an attempt
    @discardableResult
    private mutating func update(_ number: Int, at now: Instant, _ change: (inout Attempt) -> Void) -> Bool {
        switch state {
        case .attempting(var attempt) where attempt.number == number && attempt.progress != .sent:
            if attempt.progress == .connecting { noteConnection(at: now) }
            change(&attempt)
            state = .attempting(attempt)
            return true
        case .racing(var first, var second) where first.number == number || second.number == number:
            guard (first.number == number ? first : second).progress != .sent else { return false }
            if first.number == number {
                if first.progress == .connecting { noteConnection(at: now) }
                change(&first)
            } else {
                change(&second)
            }
            state = .racing(first, second)
            return true
        default: return false
        }
    }

    private mutating func noteConnection(at now: Instant) {
        timing.connect = now - markedAt
        markedAt = now
        let awaitsInput: Bool =
            switch input {
            case .whole: false
            case .buffering(_, let isEnded), .streaming(let isEnded): !isEnded
            }
        timeouts.enter(awaitsInput ? .sending : .awaiting, at: now)
    }

    /// Counts bytes of the response that were read, with or without content.
    package mutating func read(_ bytes: Int, from number: Int, at now: Instant) -> Actions {
        var total = 0
        switch state {
        case .responding(var attempt) where attempt.number == number:
            total = attempt.add(readBytes: bytes)
            state = .responding(attempt)
        case .attempting(var attempt) where attempt.number == number:
            total = attempt.add(readBytes: bytes)
            state = .attempting(attempt)
        case .racing(var first, let second) where first.number == number:
            total = first.add(readBytes: bytes)
            state = .racing(first, second)
        case .racing(let first, var second) where second.number == number:
            total = second.add(readBytes: bytes)
            state = .racing(first, second)
        default: return Actions()
        }
        timeouts.receivedBytes(at: now)
        guard total > policy.maxAnswerBytes else { return Actions() }
        return fail(number, .tooLong("the response is longer than max_answer_bytes"), cancel: .fault, at: now)
    }

    /// Handles a part of the response with this many bytes of content.
    package mutating func received(_ bytes: Int, from number: Int, at now: Instant) -> Received {
        var loser: EndedAttempt?
        var isFirst = false
        switch state {
        case .responding(let attempt):
            guard attempt.number == number else { return .ignore }
        case .attempting(let attempt):
            guard attempt.number == number else { return .ignore }
            isFirst = true
        case .racing(let first, let second):
            guard first.number == number || second.number == number else { return .ignore }
            isFirst = true
            let slower = first.number == number ? second : first
            loser = slower.ending(.neither, cancel: .obsolete)
        case .created, .queued, .picking, .requestingRetry, .backingOff, .ended: return .ignore
        }
        if isFirst { begin(responding: number, at: now) }
        guard admit(bytes, at: now) else {
            var actions = fail(number, .tooLong("the response is longer than max_answer_bytes"), cancel: .fault, at: now)
            actions.second = loser
            return .fail(actions)
        }
        return isFirst ? .deliverFirst(loser: loser) : .deliver
    }

    /// Handles the last part of the response.
    package mutating func completed(_ bytes: Int, from number: Int, at now: Instant) -> Completed {
        let loser: EndedAttempt?
        switch received(bytes, from: number, at: now) {
        case .ignore: return .ignore
        case .fail(let actions): return .fail(actions)
        case .deliver: loser = nil
        case .deliverFirst(let slower): loser = slower
        }
        guard case .responding(let attempt) = state else { return .ignore }
        let pick = attempt.pick
        end()
        timing.total = now - createdAt
        return .complete(pick, loser: loser, timing)
    }

    private mutating func begin(responding number: Int, at now: Instant) {
        switch state {
        case .attempting(let attempt): state = .responding(attempt)
        case .racing(let first, let second): state = .responding(first.number == number ? first : second)
        default: break
        }
        timing.first = now - markedAt
        timeouts.receivedBytes(at: now)
    }

    private mutating func admit(_ bytes: Int, at now: Instant) -> Bool {
        timeouts.receivedContent(at: now)
        let (sum, overflow) = contentBytes.addingReportingOverflow(max(bytes, Self.minimumPartBytes))
        contentBytes = overflow ? .max : sum
        return contentBytes <= policy.maxAnswerBytes
    }
}

extension CallStateMachine.Attempt {
    func ending(_ outcome: CircuitBreaker.Outcome, cancel: CancelReason?) -> CallStateMachine.EndedAttempt {
        CallStateMachine.EndedAttempt(number: number, pick: pick, outcome: outcome, cancel: cancel)
    }

    /// - Returns: the sum so far
    fileprivate mutating func add(readBytes bytes: Int) -> Int {
        let (sum, overflow) = readBytes.addingReportingOverflow(bytes)
        readBytes = overflow ? .max : sum
        return readBytes
    }
}

// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import NIOCore

/// Performs the actions of the current call.
extension ActiveRequest {
    func startCall(_ stage: UpstreamStage, _ request: consuming UpstreamRequest?) {
        let now = loop.now
        self.stage = stage
        if let request { self.request = request }
        correlationID = nil
        let used = call?.lastAttemptNumber ?? 0
        call = CallStateMachine(self.request.input, policy: stage.policy, earlierAttempts: used, at: now)
        if isPaused { _ = call?.pause(at: now) }
        loop.add(self)
        if let pick = stage.pool.acquire() { return perform(call?.start(with: pick, at: now)) }
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        let acquisition = stage.pool.enqueue {
            bound.eventLoop.execute { bound.value.perform(bound.value.call?.permitAcquired(at: bound.value.loop.now)) }
        }
        switch acquisition {
        case .acquired: perform(call?.permitAcquired(at: now))
        case .queued(let ticket): call?.enqueue(ticket: ticket)
        case .rejected: perform(call?.reject(at: now))
        }
    }

    func sendToCall(_ chunk: [UInt8]) {
        guard case .send(let number) = call?.send(chunk, at: loop.now), let attempt, attempt.number == number else { return }
        attempt.upstream.send(chunk)
    }

    func endInputOfCall() {
        guard let number = call?.endInput(at: loop.now), let attempt, attempt.number == number else { return }
        attempt.upstream.endInput()
    }

    func cancelCall(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard let actions = call?.cancel(reason) else { return }
        if case .end = actions.next { stage?.pool.cancelled(reason) }
        perform(actions, playedMilliseconds: playedMilliseconds)
    }

    // MARK: Actions

    private func perform(_ actions: CallStateMachine.Actions?, playedMilliseconds: Int64? = nil) {
        guard let actions else { return }
        if let first = actions.first { end(first, playedMilliseconds: playedMilliseconds) }
        if let second = actions.second { end(second, playedMilliseconds: playedMilliseconds) }
        perform(actions.next)
    }

    private func end(_ ending: CallStateMachine.EndedAttempt, playedMilliseconds: Int64? = nil) {
        let ended = takeAttempt(ending.number)
        trace?.endAttempt(ending.number, cancelled: ending.cancel, hasFailed: ending.outcome == .failure)
        if let reason = ending.cancel { ended?.upstream.cancel(reason, playedMilliseconds: playedMilliseconds) }
        stage?.pool.release(ending.pick, ending.outcome)
    }

    private func takeAttempt(_ number: Int) -> Attempt? {
        if let attempt, attempt.number == number {
            self.attempt = hedge
            hedge = nil
            return attempt
        }
        guard let hedge, hedge.number == number else { return nil }
        self.hedge = nil
        return hedge
    }

    private func perform(_ next: CallStateMachine.Next?) {
        guard let next, let pool = stage?.pool else { return }
        switch next {
        case .none: break
        case .openAttempt(let attempt, let due):
            open(attempt)
            if let due, call?.isEnded == false { schedule(at: due) }
        case .pickEndpoint:
            switch pool.pick(excluding: call?.tried ?? []) {
            case .picked(let pick): perform(call?.picked(pick, at: loop.now))
            case .unavailable(let wait): perform(call?.foundNoEndpoint(retryAfter: wait, at: loop.now))
            }
        case .pickHedge:
            if let pick = pool.pickHedge(excluding: call?.tried ?? []) { perform(call?.picked(pick, at: loop.now)) }
        case .requestRetry: perform(call?.retry(isAdmitted: pool.admitRetry(), random: loop.random(), at: loop.now))
        case .schedule(let due, let failure):
            _ = report(failure, isRetried: true)
            schedule(at: due)
        case .fail(let failure, let timing, let permit): fail(failure, timing, permit)
        case .end(let permit): finishCall(permit)
        case .releasePermit: pool.release()
        case .returnPick(let pick): pool.release(pick, .neither)
        }
    }

    private func schedule(at due: Instant) {
        timer?.cancel()
        let wait = max(.zero, due - loop.now)
        timer = loop.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait.nanoseconds)) { [weak self] in
            guard let self else { return }
            timer = nil
            perform(call?.timerFired(at: loop.now))
        }
    }

    private func open(_ attempt: CallStateMachine.Attempt) {
        guard let stage else { return }
        let reporter = AttemptReporter(receiver: self, attempt: attempt.number)
        if trace != nil {
            request.trace = trace?.beginAttempt(
                attempt.number, upstream: stage.pool.name, endpoint: stage.pool.addresses[attempt.pick.index])
        }
        let made = stage.transport.makeAttempt(request, endpoint: attempt.pick.index, reporter: reporter)
        // The attempt may already have ended.
        guard let progress = call?.progress(of: attempt.number) else { return }
        let opened = Attempt(number: attempt.number, upstream: made)
        if self.attempt == nil { self.attempt = opened } else { hedge = opened }
        if progress == .sent { flush(to: opened) }
        if isPaused { made.pause() }
    }

    private func flush(to attempt: Attempt) {
        guard call?.isStreamed ?? false else { return }
        while let chunk = call?.nextBuffered(at: loop.now) { attempt.upstream.send(chunk) }
        if call?.shouldEndInput ?? false { attempt.upstream.endInput() }
    }

    // MARK: End

    private func fail(_ failure: consuming CallFailure, _ timing: CallTiming, _ permit: CallStateMachine.Permit) {
        guard let pool = stage?.pool else { return }
        var failure = failure
        pool.fail(&failure, timing)
        failure = report(failure, isRetried: false)
        trace?.endStage(failure: failure.code, correlationID: failure.correlationID)
        finishCall(permit)
        perform(chain.failed(failure, timing, at: loop.now))
    }

    private func report(_ failure: consuming CallFailure, isRetried: Bool) -> CallFailure {
        var failure = failure
        let id = correlationID ?? loop.correlationID()
        (correlationID, failure.correlationID) = (id, id)
        stage?.pool.report(failure, of: request, isRetried: isRetried)
        return failure
    }

    private func finishCall(_ permit: CallStateMachine.Permit) {
        stopTimer()
        loop.remove(self)
        switch permit {
        case .none: break
        case .held: stage?.pool.release()
        // If the permit was already granted, `permitAcquired` releases it.
        case .queued(let ticket): _ = stage?.pool.cancel(ticket)
        }
    }

    private func stopTimer() {
        timer?.cancel()
        timer = nil
    }
}

extension ActiveRequest: CallContext.Member {
    package func tick(now: Instant) { perform(call?.tick(at: now)) }
}

extension ActiveRequest: AttemptReceiver {
    package func opened(attempt: Int) { call?.opened(attempt, at: loop.now) }

    package func requestSent(attempt number: Int) {
        switch call?.requestSent(number, at: loop.now) {
        case .consumed(let bytes): consume(bytes)
        // An attempt that connects before it is stored is flushed by ``open(_:)``.
        case .flush: if let attempt, attempt.number == number { flush(to: attempt) }
        case Optional.none, .some(.none): break
        }
    }

    package func read(_ bytes: Int, attempt: Int) { perform(call?.read(bytes, from: attempt, at: loop.now)) }

    package func received(_ content: consuming UpstreamEvent.Content, attempt: Int) {
        switch call?.received(content.byteCount, from: attempt, at: loop.now) {
        case .deliver: break
        case .deliverFirst(let loser): begin(after: loser)
        case .fail(let actions): return perform(actions)
        case .ignore, nil: return
        }
        perform(chain.received(content))
        if chain.hasSpeech { advance() }
    }

    package func received(last content: consuming UpstreamEvent.Content, summary: ResponseSummary, attempt: Int) {
        let now = loop.now
        switch call?.completed(content.byteCount, from: attempt, at: now) {
        case .complete(let pick, let loser, let timing):
            begin(after: loser)
            _ = takeAttempt(attempt)
            trace?.endAttempt(attempt)
            trace?.endStage(failure: nil)
            loop.remove(self)
            stage?.pool.complete(pick, timing)
            let action = chain.completed(content, summary, timing, at: now)
            if case .finish = action { return perform(action) }
            consumeRest()
            perform(action)
            advance()
        case .fail(let actions): perform(actions)
        case .ignore, nil: break
        }
    }

    /// Begins the response: stops the hedge timer and cancels the losing attempt of a hedged request.
    private func begin(after loser: CallStateMachine.EndedAttempt?) {
        stopTimer()
        if let loser { end(loser) }
    }

    package func consumed(_ bytes: Int, attempt: Int) {
        if call?.consumed(bytes, by: attempt, at: loop.now) ?? false { consume(bytes) }
    }

    package func failed(_ failure: CallFailure, attempt: Int) {
        trace?.attemptFailed(attempt, failure)
        perform(call?.attemptFailed(attempt, failure, at: loop.now))
    }
}

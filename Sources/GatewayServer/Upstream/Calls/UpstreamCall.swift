package import GatewayCore
import NIOCore

/// What becomes of a call.
package protocol CallOwner: AnyObject {
    func call(_ call: UpstreamCall, received content: consuming UpstreamEvent.Content)
    /// Last, with the last of the answer.
    func call(_ call: UpstreamCall, received content: consuming UpstreamEvent.Content, summary: AnswerSummary, timing: CallTiming)
    /// So many bytes of its text or its streamed audio are on their way.
    func call(_ call: UpstreamCall, took bytes: Int)
    /// Last.
    func call(_ call: UpstreamCall, failed failure: CallFailure, timing: CallTiming)
}

/// A request to one upstream, watched over from its place in the line to its end: waits for a place, chooses an endpoint, keeps the deadlines,
/// tries again where that does no harm, and gives everything back.
///
/// Of several attempts, the first whose answer begins is the one; what it says goes to the ``CallOwner``.
package final class UpstreamCall {
    package let order: CallOrder
    private let target: CallTarget
    private let maker: any AttemptMaker
    private let loop: CallLoop
    private var owner: (any CallOwner)?
    /// In the table of the loop.
    var index = 0

    private var timeouts: CallTimeouts
    private var timing = CallTiming()
    private let createdAt: Instant
    private var markedAt: Instant
    private var place = Place.none
    private var run: AttemptRun?
    /// Of another endpoint, where the first is slow.
    private var rival: AttemptRun?
    private var attempts = 0
    /// Endpoints that were asked, but for the first as long as it is the only one.
    private var tried: [Int] = []
    /// The correlation id of all failures of this call; nil before the first.
    private var correlationID: ULID?
    private var isOver = false
    private var hasAnswered = false
    private var isPaused = false
    private var answerBytes = 0
    private var timer: Scheduled<Void>?
    /// Streamed audio that no attempt has taken so far.
    private var chunks: [[UInt8]] = []
    /// Bytes of streamed audio that an attempt has and that aren't on their way.
    private var untaken = 0
    /// Whether the text was reported as sent.
    private var hasTakenText = false
    private var hasSentAudio = false
    private var hasInputEnded = false

    private enum Place {
        case none
        case waiting(UInt64)
        case taken
    }

    package init(_ order: CallOrder, target: CallTarget, maker: any AttemptMaker, loop: CallLoop, owner: any CallOwner) {
        self.order = order
        self.target = target
        self.maker = maker
        self.loop = loop
        self.owner = owner
        createdAt = loop.now
        markedAt = createdAt
        timeouts = CallTimeouts(policy: target.policy.timeouts, at: createdAt)
    }

    /// Bytes that it holds for later.
    package var heldBytes: Int { chunks.reduce(0) { $0 + $1.count } }

    package func begin() {
        loop.add(self)
        if let claim = target.pool.begin() {
            place = .taken
            launch(claim)
            return scheduleHedge()
        }
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        let entry = target.pool.enter { bound.eventLoop.execute { bound.value.granted() } }
        switch entry {
        case .granted: granted()
        case .waiting(let ticket): place = .waiting(ticket)
        case .full: end(.lineFull)
        }
    }

    private func granted() {
        // It has gone while the word was on its way.
        guard !isOver else { return target.pool.give() }
        place = .taken
        let now = loop.now
        timing.queue = now.nanoseconds(since: createdAt)
        launch()
        scheduleHedge()
    }

    private func scheduleHedge() {
        guard target.policy.hedgeAfter > 0, !isOver, target.policy.isRepeatable, !order.isStreamed else { return }
        timer = loop.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(target.policy.hedgeAfter)) { [weak self] in self?.hedge() }
    }

    private func launch() {
        switch target.pool.claim(avoiding: tried) {
        case .unavailable(let wait): end(.breakerOpen(wait: wait == 0 ? 1_000_000_000 : wait))
        case .claimed(let claim): launch(claim)
        }
    }

    private func launch(_ claim: EndpointSet.Claim) {
        attempts += 1
        if attempts > 1 { tried.append(claim.index) }
        let run = AttemptRun(self, claim: claim)
        if self.run == nil {
            markedAt = loop.now
            timeouts.enter(.connecting, at: markedAt)
            self.run = run
        } else {
            rival = run
        }
        let attempt = maker.makeAttempt(order, endpoint: claim.index, receiver: run)
        guard !run.isOver else { return }
        run.attempt = attempt
        if run.isConnected { flush(to: attempt) }
        if isPaused { attempt.pause() }
    }

    /// The answer hasn't begun: another endpoint is asked as well, if there is one to spare.
    private func hedge() {
        guard !isOver, !hasAnswered, let run, rival == nil, target.pool.addresses.count > 1 else { return }
        tried.append(run.claim.index)
        guard case .claimed(let claim) = target.pool.claim(avoiding: tried) else { return }
        guard !tried.contains(claim.index), target.pool.mayRetry() else { return target.pool.settle(claim, .neither) }
        target.pool.count { $0.hedges &+= 1 }
        launch(claim)
    }

    // MARK: From whoever has made it

    package func send(_ chunk: [UInt8]) {
        guard !isOver else { return }
        if let run, run.isConnected, let attempt = run.attempt {
            send(chunk, to: attempt)
        } else {
            chunks.append(chunk)
        }
    }

    private func send(_ chunk: [UInt8], to attempt: any UpstreamAttempt) {
        hasSentAudio = true
        untaken += chunk.count
        timeouts.wait(untaken, at: loop.now)
        attempt.send(chunk)
    }

    package func endInput() {
        guard !isOver, !hasInputEnded else { return }
        hasInputEnded = true
        guard let run, run.isConnected, let attempt = run.attempt else { return }
        markedAt = loop.now
        timeouts.enter(.awaiting, at: markedAt)
        // It has begun to answer before the end.
        timing.first = 0
        attempt.endInput()
    }

    package func pause() {
        guard !isOver, !isPaused else { return }
        isPaused = true
        timeouts.hold(true, at: loop.now)
        run?.attempt?.pause()
        rival?.attempt?.pause()
    }

    package func resume() {
        guard !isOver, isPaused else { return }
        isPaused = false
        timeouts.hold(false, at: loop.now)
        run?.attempt?.resume()
        rival?.attempt?.resume()
    }

    /// Nothing is reported afterwards.
    package func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard !isOver else { return }
        target.pool.count { $0.cancelled &+= 1 }
        drop(reason, outcome: .neither, playedMilliseconds: playedMilliseconds)
        leave()
    }

    // MARK: From its attempts

    func opened(_ run: AttemptRun) {
        // Where the call stands is where its first attempt stands.
        guard run === self.run else { return }
        let now = loop.now
        timing.connect = now.nanoseconds(since: markedAt)
        markedAt = now
        timeouts.enter(order.isStreamed && !hasInputEnded ? .sending : .awaiting, at: now)
    }

    func connected(_ run: AttemptRun) {
        guard run === self.run else { return }
        if !hasTakenText, case .text(let text) = order.input {
            hasTakenText = true
            owner?.call(self, took: text.count)
        }
        if let attempt = run.attempt { flush(to: attempt) }
    }

    private func flush(to attempt: any UpstreamAttempt) {
        guard order.isStreamed else { return }
        let waiting = chunks
        chunks = []
        for chunk in waiting where !isOver { send(chunk, to: attempt) }
        if hasInputEnded { attempt.endInput() }
    }

    func heard(_ run: AttemptRun) {
        timeouts.heard(at: loop.now)
        guard run.readBytes > target.policy.maxAnswerBytes else { return }
        fail(run, .tooLong("the answer is longer than max_answer_bytes"), tellsAttempt: true)
    }

    func received(_ content: consuming UpstreamEvent.Content, from run: AttemptRun) {
        guard admit(content.byteCount, from: run) else { return }
        owner?.call(self, received: content)
    }

    func received(last content: consuming UpstreamEvent.Content, summary: AnswerSummary, from run: AttemptRun) {
        guard admit(content.byteCount, from: run) else { return }
        run.isOver = true
        run.attempt = nil
        self.run = nil
        target.pool.complete(run.claim)
        place = .none
        timing.total = loop.now.nanoseconds(since: createdAt)
        let owner = owner
        leave()
        owner?.call(self, received: content, summary: summary, timing: timing)
    }

    /// Whether so many bytes more are taken of the answer.
    private func admit(_ bytes: Int, from run: AttemptRun) -> Bool {
        if !hasAnswered {
            hasAnswered = true
            let now = loop.now
            timing.first = now.nanoseconds(since: markedAt)
            timeouts.heard(at: now)
            timer?.cancel()
            abandonRival(of: run)
        }
        timeouts.advanced(at: loop.now)
        // Also what says nothing costs something.
        answerBytes += max(bytes, 16)
        guard answerBytes <= target.policy.maxAnswerBytes else {
            fail(run, .tooLong("the answer is longer than max_answer_bytes"), tellsAttempt: true)
            return false
        }
        return true
    }

    func took(_ bytes: Int) {
        untaken = max(0, untaken - bytes)
        timeouts.wait(untaken, at: loop.now)
        owner?.call(self, took: bytes)
    }

    func failed(_ run: AttemptRun, _ failure: CallFailure) { fail(run, failure, tellsAttempt: false) }

    private func fail(_ run: AttemptRun, _ failure: CallFailure, tellsAttempt: Bool) {
        guard run === self.run || run === rival else { return }
        var failure = failure
        failure.endpoint = run.claim.index
        if run === self.run {
            self.run = rival
            if let rival { timeouts.enter(rival.isOpen ? .awaiting : .connecting, at: loop.now) }
        }
        rival = nil
        if tellsAttempt {
            abandon(run, .fault, failure.outcome)
        } else {
            run.isOver = true
            target.pool.settle(run.claim, failure.outcome)
        }
        if tried.last != run.claim.index { tried.append(run.claim.index) }
        // The other attempt may still answer.
        if self.run == nil { retry(after: failure) }
    }

    // MARK: Time

    func tick(now: Instant) {
        guard !isOver, let phase = timeouts.overdue(at: now) else { return }
        var failure = CallFailure.timeout(phase)
        failure.endpoint = run?.claim.index
        drop(.timeout, outcome: failure.outcome, playedMilliseconds: nil)
        retry(after: failure)
    }

    private func retry(after failure: CallFailure) {
        guard !isOver else { return }
        guard mayRetry(after: failure) else { return end(failure) }
        _ = report(failure, isRetried: true)
        let delay = max(target.policy.backoff.delay(after: attempts, random: loop.random()), (failure.retryAfter ?? 0) * 1_000_000)
        timeouts.enter(.pausing, at: loop.now)
        timer?.cancel()
        timer = loop.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) { [weak self] in
            guard let self, !isOver else { return }
            launch()
        }
    }

    /// What an upstream asks to wait, in milliseconds, before it's better told to the client.
    private static let longestWait: Int64 = 2000

    private func mayRetry(after failure: CallFailure) -> Bool {
        guard !hasAnswered, !hasSentAudio, failure.isRetryable, attempts <= target.policy.retries,
            failure.retryAfter ?? 0 <= Self.longestWait,
            !failure.hasReached || target.policy.isRepeatable, case .taken = place, !timeouts.isOutOfTime(at: loop.now),
            target.pool.wait == 0
        else { return false }
        return target.pool.mayRetry()
    }

    // MARK: End

    private func end(_ failure: CallFailure) {
        guard !isOver else { return }
        var failure = failure
        if failure.isRetryable, failure.retryAfter == nil {
            let wait = target.pool.wait
            if wait > 0 { failure.setRetry(after: wait) }
        }
        target.pool.count { $0.failed &+= 1 }
        failure = report(failure, isRetried: false)
        timing.total = loop.now.nanoseconds(since: createdAt)
        let owner = owner
        leave()
        owner?.call(self, failed: failure, timing: timing)
    }

    private func report(_ failure: CallFailure, isRetried: Bool) -> CallFailure {
        var failure = failure
        let id = correlationID ?? loop.correlationID()
        (correlationID, failure.correlationID) = (id, id)
        target.pool.report(failure, of: order, isRetried: isRetried)
        return failure
    }

    /// Gives up all attempts.
    private func drop(_ reason: CancelReason, outcome: CircuitBreaker.Outcome, playedMilliseconds: Int64?) {
        let dropped = (run, rival)
        (run, rival) = (nil, nil)
        if let run = dropped.0 {
            tried.append(run.claim.index)
            abandon(run, reason, outcome, playedMilliseconds: playedMilliseconds)
        }
        if let rival = dropped.1 { abandon(rival, reason, outcome, playedMilliseconds: playedMilliseconds) }
    }

    /// `winner` is the one.
    private func abandonRival(of winner: AttemptRun) {
        guard let rival else { return }
        let loser = rival === winner ? run : rival
        (run, self.rival) = (winner, nil)
        if let loser { abandon(loser, .obsolete, .neither) }
    }

    private func abandon(_ run: AttemptRun, _ reason: CancelReason, _ outcome: CircuitBreaker.Outcome, playedMilliseconds: Int64? = nil) {
        guard !run.isOver else { return }
        run.isOver = true
        run.attempt?.cancel(reason, playedMilliseconds: playedMilliseconds)
        run.attempt = nil
        target.pool.settle(run.claim, outcome)
    }

    private func leave() {
        isOver = true
        owner = nil
        chunks = []
        timer?.cancel()
        loop.remove(self)
        switch place {
        case .taken: target.pool.give()
        // A place that is on its way is given back when it arrives.
        case .waiting(let ticket): _ = target.pool.leave(ticket)
        case .none: break
        }
        place = .none
    }
}

// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import NIOCore

/// A request in flight, on the event loop of its connections. Performs the actions of its chain and of the current call.
///
/// Each sentence of a spoken response is a separate active request, which delivers its events to the request of the whole response.
package final class ActiveRequest {
    package let key: RequestKey
    package let id: MessageID
    /// Size of the client's text or recording, in bytes.
    let inputBytes: Int
    let stages: UpstreamStages
    let loop: CallContext
    /// The receiver of events.
    var sink: (any UpstreamEventSink)?
    /// The receiver of consumed bytes.
    package var input: (any UpstreamEventSink)?
    /// The index in ``CallContext``'s table; nil unless a call is in flight.
    package var index: Int?

    var chain: ChainStateMachine
    /// The call of the current stage, or of the most recent one.
    var call: CallStateMachine?
    var stage: UpstreamStage?
    /// The request of the current call: the client's, or one derived from the response of an earlier stage.
    var request: UpstreamRequest
    var attempt: Attempt?
    /// The second attempt of a hedged request.
    var hedge: Attempt?
    /// The timer of a hedge or a retry.
    var timer: Scheduled<Void>?
    /// The correlation id of all failures of the current call; nil before the first failure.
    var correlationID: ULID?
    /// The request for the sentence that is being synthesized.
    private var sentence: ActiveRequest?
    private(set) var isPaused = false
    /// The open spans; nil without tracing.
    var trace: RequestTrace?

    struct Attempt {
        let number: Int
        let upstream: any UpstreamAttempt
    }

    package init(_ request: consuming UpstreamRequest, stages: UpstreamStages, loop: CallContext, sink: any UpstreamEventSink) {
        key = request.key
        id = request.id
        inputBytes = request.input.byteCount
        self.request = request
        self.stages = stages
        self.loop = loop
        self.sink = sink
        chain = ChainStateMachine(request, chain: stages.chain, at: loop.now)
    }

    package var heldBytes: Int { chain.heldBytes + (call?.heldBytes ?? 0) + (sentence?.heldBytes ?? 0) }

    var isEnded: Bool { chain.isEnded }
    var spokenText: SpokenText? { chain.spokenText }

    // MARK: Input

    package func begin() {
        perform(chain.begin(at: loop.now))
        if chain.hasSpeech { advance() }
    }

    package func send(_ chunk: [UInt8]) {
        switch chain.send(chunk, at: loop.now) {
        case .send: sendToCall(chunk)
        case .consumed: input?.consumed(chunk.count)
        case .rejected(let action):
            input?.consumed(chunk.count)
            perform(action)
        }
    }

    package func endInput() { perform(chain.endInput(at: loop.now)) }

    package func pause() {
        guard !isPaused else { return }
        isPaused = true
        if call?.pause(at: loop.now) ?? false {
            attempt?.upstream.pause()
            hedge?.upstream.pause()
        }
        sentence?.pause()
    }

    package func resume() {
        guard isPaused else { return }
        isPaused = false
        if call?.resume(at: loop.now) ?? false {
            attempt?.upstream.resume()
            hedge?.upstream.resume()
        }
        sentence?.resume()
    }

    /// Cancels the request. The remaining input is reported as consumed; no other event follows.
    package func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard !chain.isEnded else { return }
        chain.cancel()
        sink = nil
        consumeRest()
        input = nil
        cancelCalls(reason, playedMilliseconds: playedMilliseconds)
        trace?.cancel(reason)
    }

    private func cancelCalls(_ reason: CancelReason, playedMilliseconds: Int64?) {
        cancelCall(reason, playedMilliseconds: playedMilliseconds)
        let sentence = sentence
        self.sentence = nil
        sentence?.cancel(reason, playedMilliseconds: playedMilliseconds)
    }

    // MARK: Actions of the chain

    func perform(_ action: consuming ChainStateMachine.Action) {
        switch action {
        case .wait: break
        case .start(let stage, let request):
            trace?.beginStage(stages.chain.stages[stage].role, upstream: stages.list[stage].pool.name)
            startCall(stages.list[stage], request)
        case .endInput: endInputOfCall()
        case .synthesize(let request): synthesize(request)
        case .deliver(let content): deliver(content)
        case .finish(let content, let epilogue): finish(content, epilogue)
        }
    }

    /// Performs the chain's actions until it waits for an event.
    func advance() {
        while true {
            let action = chain.next(at: loop.now)
            if case .wait = action { return }
            perform(action)
        }
    }

    private func deliver(_ content: consuming UpstreamEvent.Content) {
        guard let sink, !sink.deliver(UpstreamEvent(key, content)) else { return }
        pause()
    }

    private func finish(_ content: consuming UpstreamEvent.Content, _ epilogue: UpstreamEvent.Epilogue) {
        consumeRest()
        let sink = sink
        (self.sink, input) = (nil, nil)
        cancelCalls(.obsolete, playedMilliseconds: nil)
        trace?.finish(content, correlationID: epilogue.correlationID)
        sink?.deliver(UpstreamEvent(key, content, isLast: true, epilogue: epilogue))
    }

    func consume(_ bytes: Int) {
        let clientBytes = chain.consumed(bytes)
        if clientBytes > 0 { input?.consumed(clientBytes) }
    }

    func consumeRest() { consume(.max) }

    // MARK: Speech

    private func synthesize(_ request: consuming UpstreamRequest) {
        guard let speech = stages.speech else { return }
        let sentence = ActiveRequest(request, stages: speech, loop: loop, sink: self)
        sentence.trace = trace.map { RequestTrace(message: $0.message, isWhole: false) }
        self.sentence = sentence
        if isPaused { sentence.pause() }
        sentence.begin()
        chain.sentenceStarted()
    }
}

/// Receives the events of the sentence that is being synthesized.
extension ActiveRequest: UpstreamEventSink {
    package func deliver(_ event: consuming UpstreamEvent) -> Bool {
        let epilogue = event.isLast ? event.epilogue : nil
        let isLast = event.isLast
        let spoken = isLast ? sentence?.request.text?.characterCount ?? 0 : 0
        if isLast { sentence = nil }
        if case .failure(let reason, let retryAfter, let isRetryable) = event.content {
            var failure = CallFailure(reason)
            failure.retryAfter = retryAfter
            failure.isRetryable = isRetryable ?? true
            failure.correlationID = epilogue?.correlationID
            perform(chain.speechFailed(failure, epilogue?.timing ?? CallTiming(), at: loop.now))
            advance()
            return true
        }
        switch chain.speechReceived(event.content) {
        case .none: break
        case .deliver(let content): deliver(content)
        case .reopen(let closing, let opening):
            deliver(.audioEnd(closing))
            deliver(.audio(opening))
        }
        if isLast {
            deliver(.sentence(characters: spoken))
            chain.speechCompleted()
            advance()
        }
        return true
    }
}

import GatewayCore

/// A request on its way through the upstreams of its route: what one has made of it goes to the next.
///
/// What hears gives a transcript, which a model answers, which is spoken sentence by sentence while the model goes on. Every upstream's part
/// reaches the client as it comes.
final class RequestPipeline: CallOwner {
    let key: RequestKey
    let request: CallOrder
    private let loop: CallLoop
    private let collectMaxBytes: Int
    private var sink: (any PipelineSink)?

    private let stages: [Stage]
    /// Of ``stages``: those that haven't begun, but for the one that speaks.
    private var ahead: Range<Int>
    /// The last of ``stages``, where it speaks.
    private let speaking: Speaking?
    /// The one at work.
    private var call: UpstreamCall?
    private var role = GatewayConfiguration.Upstream.Role.any
    private var recording: [UInt8]?
    private var recordingFormat: AudioFormat?
    private var hasInputEnded = false
    /// Bytes of the client's text, or of streamed audio, that weren't sent yet: the session counts them.
    private var untaken = 0
    /// Bytes of the current upstream's input, unless that is the client's own.
    private var stageBytes = 0
    /// Of the pieces of a transcript that are final.
    private var transcript: [UInt8] = []
    private var hasOpenText = false
    /// The client has some of the answer's text, which is worth something without its sound.
    private var hasToldText = false
    private var openAudio: AudioFormat?
    private var isPaused = false
    private(set) var isOver = false
    private var timing = CallTiming()
    private var usage: Usage?
    private var finish: FinishReason?
    private var correlationID: ULID?
    private var startedAt: Instant

    init(
        key: RequestKey, request: CallOrder, stages: [Stage], collectMaxBytes: Int, speechFailures: Speaking.Failures = .skip,
        loop: CallLoop,
        sink: any PipelineSink
    ) {
        self.key = key
        self.request = request
        self.loop = loop
        self.sink = sink
        self.collectMaxBytes = collectMaxBytes
        startedAt = loop.now
        self.stages = stages
        if case .text(let text) = request.input { untaken = text.count }
        // A text needn't be heard.
        let first = !request.isStreamed && stages.first?.role == .recogniser ? 1 : 0
        let speaker = stages.last.flatMap { $0.role == .speaker ? $0 : nil }
        ahead = first..<max(first, stages.count - (speaker == nil ? 0 : 1))
        // Whoever asks for no audio isn't spoken to, unless there is nothing else to be had.
        speaking = request.output.audio || ahead.isEmpty ? speaker.map { Speaking($0, failures: speechFailures) } : nil
        if case .stream(let format) = request.input, stages.first?.takesRecordings ?? false {
            (recording, recordingFormat) = ([], format)
        }
    }

    var heldBytes: Int {
        (recording?.count ?? 0) + transcript.count + (call?.heldBytes ?? 0) + (speaking?.heldBytes ?? 0)
            + max(0, request.input.byteCount - untaken) + stageBytes + request.conversation.reduce(0) { $0 + $1.text.count }
    }

    var spoken: SpokenText? { speaking.flatMap { $0.text.isEmpty ? nil : $0.text } }

    /// Before it begins: what it comes to goes elsewhere.
    func redirect(to sink: any PipelineSink) { self.sink = sink }

    // MARK: Input

    func begin() {
        guard recording == nil else { return }
        defer { stageBytes = 0 }
        if ahead.isEmpty, let speaking, case .text(let text) = request.input {
            takeRest()
            speaking.take(text)
            endText(speaking)
        } else {
            next(request.input)
        }
    }

    func hear(_ chunk: [UInt8]) {
        guard !isOver, !hasInputEnded else {
            sink?.pipeline(self, took: chunk.count)
            return
        }
        guard let collected = recording?.count else {
            // Who answers before the end doesn't care for the rest.
            guard let call, call.order.isStreamed else {
                sink?.pipeline(self, took: chunk.count)
                return
            }
            untaken += chunk.count
            return call.send(chunk)
        }
        sink?.pipeline(self, took: chunk.count)
        guard collected + chunk.count <= collectMaxBytes else {
            return fail(.audioTooLarge, "the recording is longer than this route takes", isRetryable: false)
        }
        recording?.append(contentsOf: chunk)
    }

    func endInput() {
        guard !isOver, !hasInputEnded else { return }
        hasInputEnded = true
        startedAt = loop.now
        guard let collected = recording, let recordingFormat else {
            if let call, call.order.isStreamed { call.endInput() }
            return
        }
        recording = nil
        guard recordingFormat.codec != .opus else {
            return fail(.invalidAudio, "this route takes no single Opus packets; send ogg_opus or webm_opus", isRetryable: false)
        }
        guard !collected.isEmpty else { return fail(.invalidAudio, "the recording is empty", isRetryable: false) }
        next(.recording(recordingFormat, collected))
    }

    func pause() {
        guard !isPaused else { return }
        isPaused = true
        call?.pause()
        speaking?.call?.pause()
    }

    func resume() {
        guard isPaused else { return }
        isPaused = false
        call?.resume()
        speaking?.call?.resume()
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard !isOver else { return }
        isOver = true
        takeRest()
        sink = nil
        cancelCalls(reason, playedMilliseconds: playedMilliseconds)
    }

    private func cancelCalls(_ reason: CancelReason, playedMilliseconds: Int64?) {
        call?.cancel(reason, playedMilliseconds: playedMilliseconds)
        speaking?.call?.cancel(reason, playedMilliseconds: playedMilliseconds)
        call = nil
        speaking?.call = nil
    }

    // MARK: From one upstream to the next

    private func next(_ input: CallOrder.Input) {
        guard !ahead.isEmpty else { return complete() }
        let stage = stages[ahead.lowerBound]
        ahead = ahead.lowerBound + 1..<ahead.upperBound
        role = stage.role
        stageBytes = input.byteCount
        var order = request
        if stages.count > 1 || recordingFormat != nil {
            // What it is asked to give, and not what comes of that in the end.
            var output = request.output
            if !ahead.isEmpty || speaking != nil { output.text = true }
            if speaking != nil { output.audio = false }
            order = request.asking(input, output)
        }
        let call = call(stage, order)
        self.call = call
        call.begin()
    }

    private func call(_ stage: Stage, _ order: CallOrder) -> UpstreamCall {
        let call = UpstreamCall(order, target: stage.target, maker: stage.maker, loop: loop, owner: self)
        if isPaused { call.pause() }
        return call
    }

    func call(_ call: UpstreamCall, received content: consuming UpstreamEvent.Content) {
        guard !isOver else { return }
        if let speaking, call === speaking.call { return heard(content, speaking) }
        take(content)
    }

    func call(_ call: UpstreamCall, received content: consuming UpstreamEvent.Content, summary: AnswerSummary, timing: CallTiming) {
        guard !isOver else { return }
        if let speaking, call === speaking.call {
            heard(content, speaking)
            speaking.endSentence()
            return speakOn(speaking)
        }
        self.call = nil
        note(summary, timing)
        // The usual case: its last is the request's last.
        if ahead.isEmpty, speaking == nil { return end(with: closing(content)) }
        take(content)
        endStage()
    }

    func call(_ call: UpstreamCall, took bytes: Int) {
        // A later upstream is asked what an earlier one has made.
        let bytes = min(bytes, untaken)
        guard bytes > 0 else { return }
        untaken -= bytes
        sink?.pipeline(self, took: bytes)
    }

    /// Nobody waits for what is left of the text or the audio.
    private func takeRest() {
        if untaken > 0 { sink?.pipeline(self, took: untaken) }
        untaken = 0
    }

    func call(_ call: UpstreamCall, failed failure: CallFailure, timing: CallTiming) {
        guard !isOver else { return }
        if let speaking, call === speaking.call, speaking.passesOver(failure) {
            tellSilence()
            return speakOn(speaking)
        }
        note(AnswerSummary(), timing)
        correlationID = failure.correlationID
        fail(failure.code, failure.message, retryAfter: failure.retryAfter, isRetryable: failure.isRetryable)
    }

    private func note(_ summary: AnswerSummary, _ timing: CallTiming) {
        self.timing.add(timing)
        finish = summary.finish ?? finish
        guard let usage = summary.usage else { return }
        self.usage = Usage(
            inputTokens: (self.usage?.inputTokens ?? 0) &+ usage.inputTokens,
            outputTokens: (self.usage?.outputTokens ?? 0) &+ usage.outputTokens)
    }

    private func take(_ content: consuming UpstreamEvent.Content) {
        switch content {
        case .text(let text, let final):
            guard ahead.isEmpty else {
                // It is the next one's to answer.
                transcript += text
                return
            }
            if request.output.text || speaking == nil {
                hasOpenText = !final
                hasToldText = hasToldText || !text.isEmpty
                emit(.text(text, final: final))
            } else {
                emit(.unsentText(text))
            }
            if let speaking { speak(text, speaking) }
        case .transcript(let text, let final, let confidence, let start, let end):
            if final {
                if !transcript.isEmpty, !text.isEmpty { transcript.append(0x20) }
                transcript += text
            }
            emit(.transcript(text, final: final, confidence: confidence, startMilliseconds: start, endMilliseconds: end))
        case .audio(let format):
            openAudio = format
            emit(.audio(format))
        case .audioEnd(let format):
            openAudio = nil
            emit(.audioEnd(format))
        case .audioChunk, .status, .unsentText: emit(content)
        case .failure: break
        }
    }

    /// The one at work has said everything.
    private func endStage() {
        takeRest()
        if !ahead.isEmpty {
            let text = transcript
            transcript = []
            // Nothing was said: there is nothing to answer.
            guard !text.isBlank else { return end(with: .text([], final: true)) }
            return next(.text(text))
        }
        if let speaking {
            // Without a model in between, what was heard is what is said.
            if role == .recogniser { speaking.take(transcript) }
            return endText(speaking)
        }
        complete()
    }

    /// What is open is closed by the request's last message.
    private func complete() {
        // Without its sound there is nothing that the client has.
        if let speaking, let failure = speaking.lastFailure, speaking.outcome == .failed, !hasToldText {
            return fail(failure.code, failure.message, retryAfter: failure.retryAfter, isRetryable: failure.isRetryable)
        }
        if let openAudio { return end(with: .audioEnd(openAudio)) }
        end(with: .text([], final: true))
    }

    private func closing(_ content: consuming UpstreamEvent.Content) -> UpstreamEvent.Content {
        if case .text(let text, _) = content { return .text(text, final: true) }
        return content
    }

    // MARK: Speaking

    private func speak(_ text: [UInt8], _ speaking: Speaking) {
        guard !isOver else { return }
        speaking.take(text)
        speakOn(speaking)
    }

    /// The next sentence, or the end behind the last.
    private func speakOn(_ speaking: Speaking) {
        let isDone = speaking.advance { text in
            guard !isOver else { return }
            let call = call(speaking.stage, request.asking(.text(text), request.output, conversation: []))
            speaking.call = call
            call.begin()
        } failed: {
            tellSilence()
        }
        if isDone, speaking.isTextComplete, !isOver { complete() }
    }

    private func heard(_ content: consuming UpstreamEvent.Content, _ speaking: Speaking) {
        switch content {
        case .audio(let format):
            guard openAudio != format else { return }
            if let openAudio { emit(.audioEnd(openAudio)) }
            openAudio = format
            emit(.audio(format))
        case .audioChunk(let chunk):
            if let openAudio {
                speaking.add(nanoseconds: chunk.withRawSpan { AudioClock.nanoseconds(of: $0, format: openAudio) } ?? 0)
            }
            emit(.audioChunk(chunk))
        // The sentences make one sound.
        case .audioEnd: break
        default: break
        }
    }

    /// A sentence has no sound, or not all of it.
    private func tellSilence() {
        guard !isOver else { return }
        emit(.status("speech_failed", progress: nil))
    }

    private func endText(_ speaking: Speaking) {
        if hasOpenText {
            hasOpenText = false
            emit(.text([], final: true))
        }
        guard !isOver else { return }
        speaking.endText()
        speakOn(speaking)
    }

    // MARK: Output

    private func emit(_ content: consuming UpstreamEvent.Content) {
        sink?.pipeline(self, emits: content, isLast: false, epilogue: nil)
    }

    private func end(with content: consuming UpstreamEvent.Content) {
        guard !isOver else { return }
        isOver = true
        takeRest()
        let sink = sink
        self.sink = nil
        timing.total = loop.now.nanoseconds(since: startedAt)
        var epilogue = UpstreamEvent.Epilogue(usage: usage, timing: timing, finish: finish)
        epilogue.speech = speaking?.outcome
        sink?.pipeline(self, emits: content, isLast: true, epilogue: epilogue)
    }

    private func fail(_ code: ErrorCode, _ message: String, retryAfter: Int64? = nil, isRetryable: Bool) {
        guard !isOver else { return }
        isOver = true
        takeRest()
        let sink = sink
        self.sink = nil
        cancelCalls(.obsolete, playedMilliseconds: nil)
        recording = nil
        timing.total = loop.now.nanoseconds(since: startedAt)
        sink?.pipeline(
            self,
            emits: .failure(code, message: message, retryAfterMilliseconds: isRetryable ? retryAfter : nil, isRetryable: isRetryable),
            isLast: true, epilogue: .init(usage: usage, timing: timing, correlationID: correlationID))
    }
}

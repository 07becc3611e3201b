import GatewayCore

/// Where what a pipeline comes to goes.
protocol PipelineSink: AnyObject {
    /// - Parameter isLast: nothing follows. A failure always is.
    func pipeline(
        _ pipeline: RequestPipeline, emits content: consuming UpstreamEvent.Content, isLast: Bool, epilogue: UpstreamEvent.Epilogue?)
    func pipeline(_ pipeline: RequestPipeline, took bytes: Int)
}

/// A request on its way through the upstreams of its route: what one has made of it goes to the next.
///
/// What hears gives a transcript, which a model answers, which is spoken sentence by sentence while the model goes on. Every upstream's part
/// reaches the client as it comes.
final class RequestPipeline: CallOwner {
    /// One upstream, as the event loop has it.
    struct Stage {
        let upstream: Upstream
        let target: CallTarget
        let maker: any AttemptMaker
    }

    let key: RequestKey
    let request: CallOrder
    private let loop: CallLoop
    private let collectMaxBytes: Int
    private var sink: (any PipelineSink)?

    private let stages: [Stage]
    /// Of ``stages``: those that haven't begun, but for the one that speaks.
    private var ahead: Range<Int>
    /// Whether the last of ``stages`` speaks.
    private let isSpoken: Bool
    /// The one at work.
    private var call: UpstreamCall?
    private var role = GatewayConfiguration.Upstream.Role.any
    private var recording: [UInt8]?
    private var recordingFormat: AudioFormat?
    private var hasInputEnded = false
    /// Bytes of streamed audio that were given to the one at work and aren't on their way.
    private var untaken = 0
    /// Of the pieces of a transcript that are final.
    private var transcript: [UInt8] = []
    private var hasOpenText = false
    private var openAudio: AudioFormat?
    private var isPaused = false
    private(set) var isOver = false
    private var timing = CallTiming()
    private var usage: Usage?
    private var startedAt: Instant

    // Speaking.
    private var splitter = SentenceSplitter()
    private var sentences: [[UInt8]] = []
    private var speech: UpstreamCall?
    private var isTextComplete = false
    private(set) var spoken = SpokenText()

    init(key: RequestKey, request: CallOrder, stages: [Stage], collectMaxBytes: Int, loop: CallLoop, sink: any PipelineSink) {
        self.key = key
        self.request = request
        self.loop = loop
        self.sink = sink
        self.collectMaxBytes = collectMaxBytes
        startedAt = loop.now
        self.stages = stages
        // A text needn't be heard.
        let first = !request.isStreamed && stages.first?.upstream.role == .recogniser ? 1 : 0
        let hasSpeaker = stages.last?.upstream.role == .speaker
        ahead = first..<max(first, stages.count - (hasSpeaker ? 1 : 0))
        // Whoever asks for no audio isn't spoken to, unless there is nothing else to be had.
        isSpoken = hasSpeaker && (request.output.audio || ahead.isEmpty)
        if case .stream(let format) = request.input, stages.first?.upstream.takesRecordings ?? false {
            (recording, recordingFormat) = ([], format)
        }
    }

    var heldBytes: Int {
        (recording?.count ?? 0) + transcript.count + splitter.heldBytes + sentences.reduce(0) { $0 + $1.count } + (call?.heldBytes ?? 0)
            + spoken.heldBytes + request.conversation.reduce(0) { $0 + $1.text.count }
    }

    /// Before it begins: what it comes to goes elsewhere.
    func redirect(to sink: any PipelineSink) { self.sink = sink }

    // MARK: Input

    func begin() {
        guard recording == nil else { return }
        if ahead.isEmpty, isSpoken, case .text(let text) = request.input {
            for sentence in splitter.take(text) { speak(sentence) }
            endText()
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
        speech?.pause()
    }

    func resume() {
        guard isPaused else { return }
        isPaused = false
        call?.resume()
        speech?.resume()
    }

    func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) {
        guard !isOver else { return }
        isOver = true
        takeRest()
        sink = nil
        call?.cancel(reason, playedMilliseconds: playedMilliseconds)
        speech?.cancel(reason, playedMilliseconds: playedMilliseconds)
        (call, speech) = (nil, nil)
    }

    // MARK: From one upstream to the next

    private func next(_ input: CallOrder.Input) {
        guard !ahead.isEmpty else { return complete() }
        let stage = stages[ahead.lowerBound]
        ahead = ahead.lowerBound + 1..<ahead.upperBound
        role = stage.upstream.role
        var order = request
        if stages.count > 1 || recordingFormat != nil {
            // What it is asked to give, and not what comes of that in the end.
            var output = request.output
            if !ahead.isEmpty || isSpoken { output.text = true }
            if isSpoken { output.audio = false }
            order = request.asking(input, output)
        }
        let call = UpstreamCall(order, target: stage.target, maker: stage.maker, loop: loop, owner: self)
        self.call = call
        if isPaused { call.pause() }
        call.begin()
    }

    func call(_ call: UpstreamCall, received content: consuming UpstreamEvent.Content) {
        guard !isOver else { return }
        if call === speech { return heard(content) }
        take(content)
    }

    func call(_ call: UpstreamCall, received content: consuming UpstreamEvent.Content, usage: Usage?, timing: CallTiming) {
        guard !isOver else { return }
        if call === speech {
            heard(content)
            return endSentence(timing)
        }
        self.call = nil
        note(usage, timing)
        if ahead.isEmpty, !isSpoken {
            // The usual case: its last is the request's last.
            if case .text(_, let final) = content, !final { hasOpenText = true }
            return end(with: closing(content))
        }
        take(content)
        endStage()
    }

    func call(_ call: UpstreamCall, took bytes: Int) {
        untaken -= bytes
        sink?.pipeline(self, took: bytes)
    }

    /// Nobody wants what is left of the audio.
    private func takeRest() {
        if untaken > 0 { sink?.pipeline(self, took: untaken) }
        untaken = 0
    }

    func call(_ call: UpstreamCall, ended failure: CallFailure?, usage: Usage?, timing: CallTiming) {
        guard !isOver else { return }
        if let failure {
            note(usage, timing)
            return fail(failure.code, failure.message, retryAfter: failure.retryAfter, isRetryable: failure.isRetryable)
        }
        if call === speech { return endSentence(timing) }
        self.call = nil
        note(usage, timing)
        endStage()
    }

    private func note(_ usage: Usage?, _ timing: CallTiming) {
        self.timing.add(timing)
        guard let usage else { return }
        self.usage = Usage(
            inputTokens: (self.usage?.inputTokens ?? 0) &+ usage.inputTokens,
            outputTokens: (self.usage?.outputTokens ?? 0) &+ usage.outputTokens)
    }

    private func take(_ content: consuming UpstreamEvent.Content) {
        switch content {
        case .text(let text, let final):
            if isSpoken { for sentence in splitter.take(text) { speak(sentence) } }
            guard ahead.isEmpty else {
                // It is the next one's to answer.
                transcript += text
                return
            }
            guard request.output.text || !isSpoken else { return }
            hasOpenText = !final
            emit(.text(text, final: final))
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
        case .audioChunk, .status: emit(content)
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
            guard text.contains(where: { $0 > 0x20 }) else { return end(with: .text([], final: true)) }
            return next(.text(text))
        }
        if isSpoken {
            // Without a model in between, what was heard is what is said.
            if role == .recogniser { for sentence in splitter.take(transcript) { speak(sentence) } }
            return endText()
        }
        complete()
    }

    /// What is open is closed by the request's last message.
    private func complete() {
        if let openAudio { return end(with: .audioEnd(openAudio)) }
        end(with: .text([], final: true))
    }

    private func closing(_ content: consuming UpstreamEvent.Content) -> UpstreamEvent.Content {
        if case .text(let text, _) = content { return .text(text, final: true) }
        return content
    }

    // MARK: Speaking

    private func speak(_ sentence: [UInt8]) {
        sentences.append(sentence)
        speakNext()
    }

    private func speakNext() {
        guard speech == nil, !isOver, isSpoken, let speaker = stages.last, !sentences.isEmpty else { return }
        let sentence = sentences.removeFirst()
        spoken.begin(sentence)
        // Without a word in it there is nothing to be heard.
        guard sentence.contains(where: { $0 >= 0x30 }) else { return speakNext() }
        let order = request.asking(.text(sentence), request.output, conversation: [])
        let call = UpstreamCall(order, target: speaker.target, maker: speaker.maker, loop: loop, owner: self)
        speech = call
        if isPaused { call.pause() }
        call.begin()
    }

    private func heard(_ content: consuming UpstreamEvent.Content) {
        switch content {
        case .audio(let format):
            guard openAudio != format else { return }
            if let openAudio { emit(.audioEnd(openAudio)) }
            openAudio = format
            emit(.audio(format))
        case .audioChunk(let chunk):
            if let openAudio { spoken.add(nanoseconds: chunk.withRawSpan { AudioClock.nanoseconds(of: $0, format: openAudio) } ?? 0) }
            emit(.audioChunk(chunk))
        // The sentences make one sound.
        case .audioEnd: break
        default: break
        }
    }

    private func endSentence(_ timing: CallTiming) {
        speech = nil
        if sentences.isEmpty, isTextComplete { complete() } else { speakNext() }
    }

    private func endText() {
        if hasOpenText {
            hasOpenText = false
            emit(.text([], final: true))
        }
        if let rest = splitter.finish() { sentences.append(rest) }
        isTextComplete = true
        speakNext()
        if speech == nil, !isOver { complete() }
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
        sink?.pipeline(self, emits: content, isLast: true, epilogue: .init(usage: usage, timing: timing))
    }

    private func fail(_ code: ErrorCode, _ message: String, retryAfter: Int64? = nil, isRetryable: Bool) {
        guard !isOver else { return }
        isOver = true
        takeRest()
        let sink = sink
        self.sink = nil
        call?.cancel(.obsolete, playedMilliseconds: nil)
        speech?.cancel(.obsolete, playedMilliseconds: nil)
        (call, speech) = (nil, nil)
        recording = nil
        timing.total = loop.now.nanoseconds(since: startedAt)
        sink?.pipeline(
            self,
            emits: .failure(code, message: message, retryAfterMilliseconds: isRetryable ? retryAfter : nil, isRetryable: isRetryable),
            isLast: true, epilogue: .init(usage: usage, timing: timing))
    }
}

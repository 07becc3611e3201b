/// A request on its way through the stages of its chain: collect, transcribe, respond, synthesize.
///
/// The output of each stage is the input of the next. The text of the response is synthesized sentence by sentence while it streams in, and
/// everything reaches the client as it comes. Inputs are the client's audio and the events of the calls; results are what the owner does.
/// After an input that may have more than one result, the owner performs ``next(at:)`` until it returns ``Action/wait``.
package struct ChainStateMachine: ~Copyable {
    package enum Action: Sendable {
        case wait
        /// Start the call of a stage: with a request of its own, or with nil for the client's.
        case start(stage: Int, UpstreamRequest?)
        /// Tell the current call that the audio has ended.
        case endInput
        /// Start a call of the last stage with a sentence: then ``ChainStateMachine/sentenceStarted()``.
        case synthesize(UpstreamRequest)
        case deliver(UpstreamEvent.Content)
        /// The last event of the request. Calls that are under way are obsolete.
        case finish(UpstreamEvent.Content, UpstreamEvent.Epilogue)
    }

    package enum Audio: Sendable {
        /// The current call takes the chunk.
        case send
        /// The chunk was collected, or nothing takes it: it counts as consumed.
        case consumed
        /// The chunk counts as consumed, and the request has failed.
        case refused(Action)
    }

    /// An event of the speech call.
    package enum Speech: Sendable {
        case none
        case deliver(UpstreamEvent.Content)
        /// The audio of this sentence has another format.
        case reopen(closing: AudioFormat, opening: AudioFormat)
    }

    enum Phase {
        /// The input is complete, and no call has started.
        case ready
        /// The first stage takes a recording, which the client's audio adds up to.
        case collecting(AudioFormat, [UInt8])
        /// A stage with another stage behind it.
        case transcribing(stage: Int)
        case transcribed(stage: Int)
        /// The last stage before the speech.
        case responding(stage: Int)
        case responded(stage: Int)
        /// The text is complete, and sentences of it may be left.
        case synthesizing
        case ended
    }

    enum Input { case whole, open, ended }

    /// The text of the response, as the client has it.
    enum ResponseText {
        case none
        case open(isEmpty: Bool)
        case closed(isEmpty: Bool)

        var isEmpty: Bool {
            switch self {
            case .none: true
            case .open(let isEmpty), .closed(let isEmpty): isEmpty
            }
        }
    }

    package let request: UpstreamRequest
    let chain: Chain
    /// Stages that calls are made to one after the other: without a transcription that a text doesn't need, and without the speech.
    let stages: Range<Int>
    var speech: SpeechStage?
    var phase = Phase.ready
    var input = Input.whole
    /// Final pieces of the transcript, and text of a stage that another one follows.
    var transcript: [UInt8] = []
    var text = ResponseText.none
    var openAudio: AudioFormat?
    /// Bytes of the client's text, or of its audio, that no upstream has consumed: the session counts them.
    var unconsumed = 0
    /// Bytes of the current stage's input, unless that is the client's own.
    var stageBytes = 0
    var timing = CallTiming()
    var usage: Usage?
    var finish: FinishReason?
    var startedAt: Instant

    package init(_ request: UpstreamRequest, chain: Chain, at now: Instant) {
        let roles = chain.stages
        let first = request.isText && roles.first?.role == .transcribe ? 1 : 0
        let speaks = roles.last?.role == .synthesize
        let end = max(first, roles.count - (speaks ? 1 : 0))
        // Everything is set before anything is read: the optimizer (Swift 6.2) destroys what isn't set yet when `||` captures a part of `self`.
        stages = first..<end
        self.chain = chain
        self.request = request
        startedAt = now
        // Without audio in the output nothing is synthesized, unless there is nothing else.
        if speaks, let stage = roles.last, request.output.audio || first == end {
            speech = SpeechStage(stripsMarkdown: stage.stripsMarkdown, failsWithSpeech: chain.failsWithSpeech)
        }
        switch request.input {
        case .text(let text): unconsumed = text.count
        case .recording: break
        case .audio(let format):
            if roles.first?.takesRecordings ?? false { phase = .collecting(format, []) }
            input = .open
        }
    }

    /// Bytes that the request holds, but for those that the session counts as waiting for an upstream.
    package var heldBytes: Int {
        let recording = if case .collecting(_, let bytes) = phase { bytes.count } else { 0 }
        return recording + transcript.count + (speech?.heldBytes ?? 0) + max(0, request.input.byteCount - unconsumed) + stageBytes
            + request.conversation.reduce(0) { $0 + $1.text.count }
    }

    package var isEnded: Bool { if case .ended = phase { true } else { false } }
    package var hasSpeech: Bool { speech != nil }

    /// The alignment of the text with its audio, for a client that reports how much it has played.
    package var spokenText: SpokenText? {
        guard let text = speech?.text, !text.isEmpty else { return nil }
        return text
    }

    // MARK: Input

    package mutating func begin(at now: Instant) -> Action {
        guard case .ready = phase else { return .wait }
        guard stages.isEmpty, speech != nil, case .text(let text) = request.input else {
            defer { stageBytes = 0 }
            return start(stages.lowerBound, request.input, at: now)
        }
        speech?.append(text)
        speech?.endText()
        phase = .synthesizing
        return next(at: now)
    }

    package mutating func send(_ chunk: [UInt8], at now: Instant) -> Audio {
        guard case .open = input else { return .consumed }
        switch phase {
        case .collecting(let format, var recording):
            // The buffer grows where it is, without a copy.
            phase = .ended
            guard recording.count + chunk.count <= chain.collectMaxBytes else {
                return .refused(fail(.recordingTooLong, at: now))
            }
            recording.append(contentsOf: chunk)
            phase = .collecting(format, recording)
            return .consumed
        case .transcribing(stages.lowerBound), .responding(stages.lowerBound):
            unconsumed += chunk.count
            return .send
        // A stage that responds before the end of the audio doesn't need the rest.
        case .ready, .transcribing, .transcribed, .responding, .responded, .synthesizing, .ended: return .consumed
        }
    }

    package mutating func endInput(at now: Instant) -> Action {
        guard case .open = input, !isEnded else { return .wait }
        input = .ended
        startedAt = now
        switch phase {
        case .collecting(let format, let recording):
            phase = .ready
            if format.codec == .opus {
                return fail(.opusPacketsUnsupported, at: now)
            }
            if recording.isEmpty { return fail(.emptyRecording, at: now) }
            return start(stages.lowerBound, .recording(format, recording), at: now)
        case .transcribing(stages.lowerBound), .responding(stages.lowerBound): return .endInput
        case .ready, .transcribing, .transcribed, .responding, .responded, .synthesizing, .ended: return .wait
        }
    }

    /// A call has consumed bytes of its input; `Int.max` for the rest, which no call waits for any more.
    ///
    /// - Returns: the bytes among them that are the client's: the input of a later stage isn't
    package mutating func consumed(_ bytes: Int) -> Int {
        let clients = min(bytes, unconsumed)
        unconsumed -= clients
        return clients
    }

    package mutating func cancel() {
        phase = .ended
        transcript = []
    }

    mutating func start(_ stage: Int, _ input: UpstreamRequest.Input, at now: Instant) -> Action {
        guard stages.contains(stage) else { return complete(at: now) }
        let isLast = stage + 1 == stages.upperBound
        phase = isLast ? .responding(stage: stage) : .transcribing(stage: stage)
        stageBytes = input.byteCount
        // A route of one stage is asked in the client's words.
        if chain.stages.count == 1, !input.isRecording { return .start(stage: stage, nil) }
        var request = request
        request.input = input
        if !isLast || speech != nil { request.output.text = true }
        if speech != nil { request.output.audio = false }
        return .start(stage: stage, request)
    }

    // MARK: Events of the stages' calls

    /// Content of the current call that isn't its last.
    package mutating func received(_ content: consuming UpstreamEvent.Content) -> Action {
        guard isWorking else { return .wait }
        let content = content
        switch content {
        case .text(let text, let final):
            if case .responding = phase { return .deliver(respond(text, final: final)) }
            // The next stage responds to it.
            transcript += text
            return .wait
        case .transcript(let text, let final, _, _, _):
            if final, hasUseForTranscript {
                if !transcript.isEmpty, !text.isEmpty { transcript.append(0x20) }
                transcript += text
            }
            return .deliver(content)
        case .audio(let format):
            openAudio = format
            return .deliver(content)
        case .audioEnd:
            openAudio = nil
            return .deliver(content)
        case .audioChunk, .status, .unsentText: return .deliver(content)
        case .failure: return .wait
        }
    }

    var isWorking: Bool {
        switch phase {
        case .transcribing, .responding: true
        case .ready, .collecting, .transcribed, .responded, .synthesizing, .ended: false
        }
    }

    /// Whether a stage follows that is given the transcript.
    var hasUseForTranscript: Bool { if case .transcribing = phase { true } else { speech != nil } }

    private mutating func respond(_ text: [UInt8], final: Bool) -> UpstreamEvent.Content {
        speech?.append(text)
        guard request.output.text || speech == nil else { return .unsentText(text) }
        let isEmpty = self.text.isEmpty && text.isEmpty
        self.text = final ? .closed(isEmpty: isEmpty) : .open(isEmpty: isEmpty)
        return .text(text, final: final)
    }

    /// The current call is complete. Unless that finishes the request, ``next(at:)`` follows.
    package mutating func completed(
        _ content: consuming UpstreamEvent.Content, _ summary: AnswerSummary, _ timing: CallTiming, at now: Instant
    ) -> Action {
        guard isWorking else { return .wait }
        self.timing.add(timing)
        finish = summary.finish ?? finish
        if let used = summary.usage {
            usage = Usage(
                inputTokens: (usage?.inputTokens ?? 0) &+ used.inputTokens, outputTokens: (usage?.outputTokens ?? 0) &+ used.outputTokens)
        }
        // Common case: the last event of the last stage completes the request.
        if case .responding = phase, speech == nil {
            if case .text(let text, _) = content { return end(with: .text(text, final: true), at: now) }
            return end(with: content, at: now)
        }
        let action = received(content)
        switch phase {
        case .transcribing(let stage): phase = .transcribed(stage: stage)
        case .responding(let stage): phase = .responded(stage: stage)
        case .ready, .collecting, .transcribed, .responded, .synthesizing, .ended: break
        }
        return action
    }

    /// The current call has failed, and the request with it.
    package mutating func failed(_ failure: CallFailure, _ timing: CallTiming, at now: Instant) -> Action {
        guard !isEnded else { return .wait }
        self.timing.add(timing)
        return fail(failure, at: now)
    }
}

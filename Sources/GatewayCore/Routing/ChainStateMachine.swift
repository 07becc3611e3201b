// SPDX-License-Identifier: Apache-2.0

/// The state machine of a request that passes through the stages of its chain: collect, transcribe, respond, synthesize.
///
/// The output of each stage is the input of the next. The text of the response is synthesized sentence by sentence while it streams in, and
/// all output is delivered to the client immediately. The owner passes the client's audio and the events of the calls, and performs the
/// returned actions. After an input that may cause several actions, the owner calls ``next(at:)`` until it returns ``Action/wait``.
package struct ChainStateMachine: ~Copyable {
    package enum Action: Sendable {
        case wait
        /// Start the call of a stage with this request, or with the client's own request if nil.
        case start(stage: Int, UpstreamRequest?)
        /// Send the end of the audio to the current call.
        case endInput
        /// Start a call of the last stage with a sentence, then call ``ChainStateMachine/sentenceStarted()``.
        case synthesize(UpstreamRequest)
        case deliver(UpstreamEvent.Content)
        /// Deliver the last event of the request, and cancel the remaining calls as obsolete.
        case finish(UpstreamEvent.Content, UpstreamEvent.Epilogue)
    }

    /// The action for a chunk of the client's audio.
    package enum AudioAction: Sendable {
        /// Send the chunk to the current call.
        case send
        /// Report the chunk as consumed: it was collected, or no stage needs it.
        case consumed
        /// Report the chunk as consumed, and perform the action: the request has failed.
        case rejected(Action)
    }

    /// The action for an event of a sentence's call.
    package enum SpeechAction: Sendable {
        case none
        case deliver(UpstreamEvent.Content)
        /// The audio format differs from that of the previous sentence: end the open audio output and begin another.
        case reopen(closing: AudioFormat, opening: AudioFormat)
    }

    enum Phase {
        /// The input is complete, and no call has started.
        case ready
        /// The client's audio is collected into a recording for the first stage.
        case collecting(AudioFormat, [UInt8])
        /// A stage before the last one, not counting synthesize. Its output is the input of the next stage.
        case transcribing(stage: Int)
        case transcribed(stage: Int)
        /// The last stage before synthesize.
        case responding(stage: Int)
        case responded(stage: Int)
        /// The text is complete; sentences may remain to be synthesized.
        case synthesizing
        case ended
    }

    enum Input { case whole, open, ended }

    /// The state of the response text at the client.
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
    /// The indices of the stages that are called one after the other. Excludes synthesize, and transcribe for a text request.
    let stages: Range<Int>
    var speech: SpeechStage?
    var phase = Phase.ready
    var input = Input.whole
    /// The input of the next stage so far: the final parts of the transcript, or text.
    var transcript: [UInt8] = []
    var text = ResponseText.none
    var openAudio: AudioFormat?
    /// Bytes of the client's text or audio that no upstream has consumed; the session accounts for them.
    var unconsumed = 0
    /// Bytes of the current stage's input; 0 if that is the input of the request itself.
    var stageBytes = 0
    var timing = CallTiming()
    var usage: Usage?
    /// The part of ``usage`` that the transcribe stage reported.
    var transcribeUsage: Usage?
    var finish: FinishReason?
    var startedAt: Instant

    package init(_ request: UpstreamRequest, chain: Chain, at now: Instant) {
        let roles = chain.stages
        let first = request.isText && roles.first?.role == .transcribe ? 1 : 0
        let hasSpeechStage = roles.last?.role == .synthesize
        let end = max(first, roles.count - (hasSpeechStage ? 1 : 0))
        // All properties are set before any is read: the optimizer (Swift 6.2) destroys unset properties when `||` captures a part of
        // `self`.
        stages = first..<end
        self.chain = chain
        self.request = request
        startedAt = now
        // If the client wants no audio, synthesize is skipped, unless it is the only stage.
        if hasSpeechStage, let stage = roles.last, request.output.audio || first == end {
            speech = SpeechStage(stripsMarkdown: stage.stripsMarkdown, requiresSpeech: chain.requiresSpeech)
        }
        switch request.input {
        case .text(let text): unconsumed = text.count
        case .recording: break
        case .audio(let format):
            if roles.first?.requiresRecording ?? false { phase = .collecting(format, []) }
            input = .open
        }
    }

    /// Bytes that the request holds, except for those that the session counts as waiting for an upstream.
    package var heldBytes: Int {
        let recording = if case .collecting(_, let bytes) = phase { bytes.count } else { 0 }
        return recording + transcript.count + (speech?.heldBytes ?? 0) + max(0, request.input.byteCount - unconsumed) + stageBytes
            + request.conversation.reduce(0) { $0 + $1.text.count }
    }

    package var isEnded: Bool { if case .ended = phase { true } else { false } }
    package var hasSpeech: Bool { speech != nil }

    /// The alignment of the response's text with its audio, for clients that report a playback position; nil without audio.
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

    package mutating func send(_ chunk: [UInt8], at now: Instant) -> AudioAction {
        guard case .open = input else { return .consumed }
        switch phase {
        case .collecting(let format, var recording):
            // The buffer grows in place, without a copy.
            phase = .ended
            guard recording.count + chunk.count <= chain.collectMaxBytes else {
                return .rejected(fail(.recordingTooLong, at: now))
            }
            recording.append(contentsOf: chunk)
            phase = .collecting(format, recording)
            return .consumed
        case .transcribing(stages.lowerBound), .responding(stages.lowerBound):
            unconsumed += chunk.count
            return .send
        // The first stage has completed before the end of the audio, and doesn't need the rest.
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

    /// Notes that a call has consumed bytes of its input; `Int.max` when no call needs the rest.
    ///
    /// - Returns: the number of those bytes that belong to the client's input, not to the input of a later stage
    package mutating func consumed(_ bytes: Int) -> Int {
        let clientBytes = min(bytes, unconsumed)
        unconsumed -= clientBytes
        return clientBytes
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
        // The only stage of a route receives the client's request unchanged.
        if chain.stages.count == 1, !input.isRecording { return .start(stage: stage, nil) }
        var request = request
        request.input = input
        if !isLast || speech != nil { request.output.text = true }
        if speech != nil { request.output.audio = false }
        return .start(stage: stage, request)
    }

    // MARK: Events of the stages' calls

    /// Handles content of the current call other than its last.
    package mutating func received(_ content: consuming UpstreamEvent.Content) -> Action {
        guard isWorking else { return .wait }
        let content = content
        switch content {
        case .text(let text, let final):
            if case .responding = phase { return .deliver(respond(text, final: final)) }
            // The text is the input of the next stage.
            transcript += text
            return .wait
        case .transcript(let text, let final, _, _, _):
            if final, needsTranscript {
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
        case .audioChunk, .sentence, .status, .unsentText: return .deliver(content)
        case .failure: return .wait
        }
    }

    /// Whether a call other than a sentence's is expected to send events.
    var isWorking: Bool {
        switch phase {
        case .transcribing, .responding: true
        case .ready, .collecting, .transcribed, .responded, .synthesizing, .ended: false
        }
    }

    /// Whether the current call is that of the transcribe stage.
    var isTranscribing: Bool {
        switch phase {
        case .transcribing(let stage), .responding(let stage): chain.stages[stage].role == .transcribe
        case .ready, .collecting, .transcribed, .responded, .synthesizing, .ended: false
        }
    }

    /// Whether the transcript is the input of another stage.
    var needsTranscript: Bool { if case .transcribing = phase { true } else { speech != nil } }

    private mutating func respond(_ text: [UInt8], final: Bool) -> UpstreamEvent.Content {
        speech?.append(text)
        guard request.output.text || speech == nil else { return .unsentText(text) }
        let isEmpty = self.text.isEmpty && text.isEmpty
        self.text = final ? .closed(isEmpty: isEmpty) : .open(isEmpty: isEmpty)
        return .text(text, final: final)
    }

    /// Completes the current call. Unless the request is finished, the owner calls ``next(at:)`` afterwards.
    package mutating func completed(
        _ content: consuming UpstreamEvent.Content, _ summary: ResponseSummary, _ timing: CallTiming, at now: Instant
    ) -> Action {
        guard isWorking else { return .wait }
        self.timing.add(timing)
        finish = summary.finish ?? finish
        if let used = summary.usage {
            if isTranscribing { transcribeUsage = used }
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

    /// Fails the request because the current call has failed.
    package mutating func failed(_ failure: CallFailure, _ timing: CallTiming, at now: Instant) -> Action {
        guard !isEnded else { return .wait }
        self.timing.add(timing)
        return fail(failure, at: now)
    }
}

/// The events of the speech call.
extension ChainStateMachine {
    package mutating func sentenceStarted() { speech?.started() }

    package mutating func speechReceived(_ content: consuming UpstreamEvent.Content) -> Speech {
        guard !isEnded, speech != nil else { return .none }
        switch content {
        case .audio(let format):
            guard let open = openAudio else {
                openAudio = format
                return .deliver(.audio(format))
            }
            guard open != format else { return .none }
            openAudio = format
            return .reopen(closing: open, opening: format)
        case .audioChunk(let chunk):
            if let openAudio {
                speech?.add(nanoseconds: chunk.withRawSpan { AudioClock.nanoseconds(of: $0, format: openAudio) } ?? 0)
            }
            return .deliver(.audioChunk(chunk))
        // The sentences make one audio output, which ends behind the last.
        case .audioEnd, .text, .unsentText, .transcript, .status, .failure: return .none
        }
    }

    /// The sentence has its audio. ``next(at:)`` follows.
    package mutating func speechCompleted() { speech?.completed() }

    /// The sentence can't be synthesized. ``next(at:)`` follows, unless that finishes the request.
    package mutating func speechFailed(_ failure: CallFailure, _ timing: CallTiming, at now: Instant) -> Action {
        guard !isEnded, speech != nil else { return .wait }
        switch speech?.failed(failure) {
        case .skipped: return .deliver(Self.skipped)
        case .fatal: return failed(failure, timing, at: now)
        case .ignored, nil: return .wait
        }
    }

    static let skipped = UpstreamEvent.Content.status("speech_failed", progress: nil)

    mutating func advanceSpeech(at now: Instant) -> Action {
        switch speech?.advance() {
        case .synthesize(let text):
            var request = request
            request.input = .text(text)
            request.conversation = []
            return .synthesize(request)
        case .skipped: return .deliver(Self.skipped)
        case .complete: return complete(at: now)
        case .wait, nil: return .wait
        }
    }
}

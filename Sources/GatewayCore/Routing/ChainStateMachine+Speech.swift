// SPDX-License-Identifier: Apache-2.0

/// The events of the synthesize stage's calls.
extension ChainStateMachine {
    /// Notes that the call of the current sentence was started.
    package mutating func sentenceStarted() { speech?.started() }

    /// Handles content of the current sentence's call.
    package mutating func speechReceived(_ content: consuming UpstreamEvent.Content) -> SpeechAction {
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
                speech?.add(nanoseconds: chunk.withRawSpan { AudioDuration.nanoseconds(of: $0, format: openAudio) } ?? 0)
            }
            return .deliver(.audioChunk(chunk))
        // All sentences form one audio output, which ends after the last sentence.
        case .audioEnd, .sentence, .text, .unsentText, .transcript, .status, .failure: return .none
        }
    }

    /// Completes the current sentence. The owner calls ``next(at:)`` afterwards.
    package mutating func speechCompleted() { speech?.completed() }

    /// Skips the current sentence, or fails the request. Unless the request is finished, the owner calls ``next(at:)`` afterwards.
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

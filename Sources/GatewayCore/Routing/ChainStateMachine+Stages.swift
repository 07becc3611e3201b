// SPDX-License-Identifier: Apache-2.0

/// The transitions between stages, and the end of the request.
extension ChainStateMachine {
    /// Returns the next action; ``Action/wait`` when none is left.
    package mutating func next(at now: Instant) -> Action {
        switch phase {
        case .transcribed(let stage):
            phase = .ready
            let text = transcript
            transcript = []
            // An empty transcript gets no response.
            guard !text.isBlank else { return end(with: .text([], final: true), at: now) }
            return start(stage + 1, .text(text), at: now)
        case .responded(let stage):
            if case .open(let isEmpty) = text {
                text = .closed(isEmpty: isEmpty)
                return .deliver(.text([], final: true))
            }
            // In a chain without a respond stage, the transcript is synthesized.
            if chain.stages[stage].role == .transcribe { speech?.append(transcript) }
            transcript = []
            speech?.endText()
            phase = .synthesizing
            return advanceSpeech(at: now)
        case .responding, .synthesizing: return advanceSpeech(at: now)
        case .ready, .collecting, .transcribing, .ended: return .wait
        }
    }

    /// Finishes the request after its last stage, with the event that closes the open output.
    mutating func complete(at now: Instant) -> Action {
        // If all sentences failed and no text was delivered, the client has received nothing, so the request fails.
        if let failure = speech?.lastFailure, speech?.outcome == .failed, text.isEmpty { return fail(failure, at: now) }
        if let openAudio { return end(with: .audioEnd(openAudio), at: now) }
        return end(with: .text([], final: true), at: now)
    }

    mutating func end(with content: consuming UpstreamEvent.Content, at now: Instant) -> Action {
        phase = .ended
        timing.total = now - startedAt
        var epilogue = UpstreamEvent.Epilogue(usage: usage, timing: timing, finish: finish)
        epilogue.transcribeUsage = transcribeUsage
        epilogue.speech = speech?.outcome
        return .finish(content, epilogue)
    }

    mutating func fail(_ reason: ErrorReason, at now: Instant) -> Action {
        var failure = CallFailure(reason)
        failure.isRetryable = false
        return fail(failure, at: now)
    }

    mutating func fail(_ failure: CallFailure, at now: Instant) -> Action {
        phase = .ended
        timing.total = now - startedAt
        var epilogue = UpstreamEvent.Epilogue(usage: usage, timing: timing, correlationID: failure.correlationID)
        epilogue.transcribeUsage = transcribeUsage
        return .finish(
            .failure(
                failure.reason, retryAfterMilliseconds: failure.isRetryable ? failure.retryAfter : nil,
                isRetryable: failure.isRetryable),
            epilogue)
    }
}

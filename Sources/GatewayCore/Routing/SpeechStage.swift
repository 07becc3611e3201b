// SPDX-License-Identifier: Apache-2.0

/// The synthesize stage of a chain. Splits the text into sentences while it streams in, and schedules their synthesis one after the other.
package struct SpeechStage: Sendable {
    package enum Next: Sendable, Hashable {
        /// A sentence is being synthesized, or more text is needed.
        case wait
        /// Synthesize this text. Call ``SpeechStage/started()``, then ``SpeechStage/completed()`` or ``SpeechStage/failed(_:)``.
        case synthesize([UInt8])
        /// A sentence was skipped without an attempt.
        case skipped
        /// No sentence is left, and the text is complete.
        case complete
    }

    /// The consequence of a failed sentence.
    package enum Failed: Sendable, Hashable {
        /// The request continues without the audio of this sentence.
        case skipped
        /// The request fails.
        case fatal
        /// No sentence was being synthesized.
        case ignored
    }

    private enum Text { case open, complete }

    /// The state of the current sentence.
    private enum SentenceState: Hashable {
        case none
        /// ``SpeechStage/advance()`` has returned the sentence, but ``SpeechStage/started()`` wasn't called yet.
        case starting
        case synthesizing
        /// The sentence has completed or failed before ``SpeechStage/started()``. The next sentence waits for that call.
        case endedWhileStarting
    }

    /// The number of timeouts in a row after which the remaining sentences are skipped.
    private static let maximumTimeouts = 2

    private let requiresSpeech: Bool
    private var segmenter: SpeechSegmenter
    private var queue: [SpokenSentence] = []
    /// The index of the next sentence in ``queue``.
    private var next = 0
    private var input = Text.open
    private var sentenceState = SentenceState.none
    /// The alignment of the text with its audio.
    package private(set) var text = SpokenText()
    /// The number of sentences with audio.
    private var synthesized = 0
    /// The number of sentences that failed or were skipped.
    private var skipped = 0
    package private(set) var lastFailure: CallFailure?
    /// The number of timeouts in a row.
    private var timeouts = 0

    package init(stripsMarkdown: Bool, requiresSpeech: Bool) {
        segmenter = SpeechSegmenter(stripsMarkdown: stripsMarkdown)
        self.requiresSpeech = requiresSpeech
    }

    package var heldBytes: Int { segmenter.heldBytes + queue[next...].reduce(0) { $0 + $1.heldBytes } + text.heldBytes }

    /// Whether some or all sentences lack their audio, for the last message of the request; nil when none does.
    package var outcome: UpstreamEvent.Epilogue.Speech? { skipped == 0 ? nil : synthesized == 0 ? .failed : .partial }

    package mutating func append(_ text: [UInt8]) { queue += segmenter.append(text) }

    package mutating func endText() {
        guard case .open = input else { return }
        input = .complete
        queue += segmenter.finish()
    }

    package mutating func advance() -> Next {
        guard sentenceState == .none else { return .wait }
        while next < queue.count {
            let sentence = queue[next]
            next += 1
            text.begin(sentence)
            if sentence.isSilent {
                text.end()
            } else if timeouts >= Self.maximumTimeouts {
                noteFailure(lastFailure)
                return .skipped
            } else {
                sentenceState = .starting
                return .synthesize(sentence.trimmed)
            }
        }
        (queue, next) = ([], 0)
        return if case .complete = input { .complete } else { .wait }
    }

    /// Notes that the call of the current sentence was started; the call may have ended already.
    package mutating func started() {
        switch sentenceState {
        case .starting: sentenceState = .synthesizing
        case .endedWhileStarting: sentenceState = .none
        case .none, .synthesizing: break
        }
    }

    /// Adds the duration of received audio.
    package mutating func add(nanoseconds: Int64) {
        if sentenceState == .starting || sentenceState == .synthesizing { text.add(nanoseconds: nanoseconds) }
    }

    /// Completes the current sentence.
    package mutating func completed() {
        guard end() else { return }
        text.end()
        synthesized += 1
        timeouts = 0
    }

    /// Handles the failure of the current sentence.
    package mutating func failed(_ failure: CallFailure) -> Failed {
        guard end() else { return .ignored }
        if requiresSpeech { return .fatal }
        timeouts = failure.code == .upstreamTimeout ? timeouts + 1 : 0
        noteFailure(failure)
        return .skipped
    }

    private mutating func end() -> Bool {
        switch sentenceState {
        case .starting: sentenceState = .endedWhileStarting
        case .synthesizing: sentenceState = .none
        case .none, .endedWhileStarting: return false
        }
        return true
    }

    private mutating func noteFailure(_ failure: CallFailure?) {
        text.end()
        skipped += 1
        lastFailure = failure
    }
}

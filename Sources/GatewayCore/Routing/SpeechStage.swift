/// The synthesize stage of a chain: splits the text into sentences while it streams in, and has them synthesized one after the other.
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

    package enum Failed: Sendable, Hashable {
        /// The request continues without the audio of this sentence.
        case skipped
        case fatal
        /// No sentence was being synthesized.
        case ignored
    }

    private enum Text { case open, complete }

    private enum Sentence: Hashable {
        case none
        /// ``SpeechStage/advance()`` has returned the sentence. If it ends before ``SpeechStage/started()``, the next sentence waits for
        /// that call.
        case starting
        case synthesizing
        case endedWhileStarting
    }

    /// After this many timeouts in a row, the remaining sentences are skipped.
    private static let maximumTimeouts = 2

    private let requiresSpeech: Bool
    private var script: SpeechSegmenter
    private var queue: [SpokenSentence] = []
    /// The index in ``queue`` of the next sentence.
    private var next = 0
    private var input = Text.open
    private var sentence = Sentence.none
    /// The alignment of the text with its audio.
    package private(set) var text = SpokenText()
    /// The numbers of sentences with and without audio.
    private var synthesized = 0
    private var skipped = 0
    package private(set) var lastFailure: CallFailure?
    /// Timeouts in a row.
    private var timeouts = 0

    package init(stripsMarkdown: Bool, requiresSpeech: Bool) {
        script = SpeechSegmenter(stripsMarkdown: stripsMarkdown)
        self.requiresSpeech = requiresSpeech
    }

    package var heldBytes: Int { script.heldBytes + queue[next...].reduce(0) { $0 + $1.heldBytes } + text.heldBytes }

    /// Whether sentences lack their audio, for the last message of the request; nil when none does.
    package var outcome: UpstreamEvent.Epilogue.Speech? { skipped == 0 ? nil : synthesized == 0 ? .failed : .partial }

    package mutating func append(_ text: [UInt8]) { queue += script.append(text) }

    package mutating func endText() {
        guard case .open = input else { return }
        input = .complete
        queue += script.finish()
    }

    package mutating func advance() -> Next {
        guard sentence == .none else { return .wait }
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
                self.sentence = .starting
                return .synthesize(sentence.trimmed)
            }
        }
        (queue, next) = ([], 0)
        return if case .complete = input { .complete } else { .wait }
    }

    /// Notes that the call of the sentence was started; the call may have ended already.
    package mutating func started() {
        switch sentence {
        case .starting: sentence = .synthesizing
        case .endedWhileStarting: sentence = .none
        case .none, .synthesizing: break
        }
    }

    /// Adds the duration of received audio.
    package mutating func add(nanoseconds: Int64) {
        if sentence == .starting || sentence == .synthesizing { text.add(nanoseconds: nanoseconds) }
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
        switch sentence {
        case .starting: sentence = .endedWhileStarting
        case .synthesizing: sentence = .none
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

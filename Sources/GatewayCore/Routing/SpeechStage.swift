/// The synthesizing stage of a chain: cuts the text into sentences while it streams in, and has them synthesized one after the other.
package struct SpeechStage: Sendable {
    package enum Next: Sendable, Hashable {
        /// A sentence is under way, or more text is needed.
        case wait
        /// Synthesize this text: then ``SpeechStage/started()``, and at the end ``SpeechStage/completed()`` or ``SpeechStage/failed(_:)``.
        case synthesize([UInt8])
        /// A sentence is given up without being tried.
        case skipped
        /// No sentence is left, and no text comes.
        case complete
    }

    package enum Failed: Sendable, Hashable {
        /// The request goes on without the audio of this sentence.
        case skipped
        case fatal
        /// No sentence was under way.
        case ignored
    }

    private enum Text { case open, complete }

    private enum Sentence: Hashable {
        case none
        /// It was handed out, and can end before ``SpeechStage/started()``: the next one waits for that.
        case starting
        case underWay
        case endedWhileStarting
    }

    /// After so many deadlines in a row the upstream isn't tried again.
    private static let mostTimeouts = 2

    private let failsWithSpeech: Bool
    private var script: SpeechScript
    private var queue: [SpokenSentence] = []
    /// The index in ``queue`` of the next sentence.
    private var next = 0
    private var input = Text.open
    private var sentence = Sentence.none
    /// The alignment of the text with its audio.
    package private(set) var text = SpokenText()
    /// Sentences that have their audio, and those that don't.
    private var synthesized = 0
    private var skipped = 0
    package private(set) var lastFailure: CallFailure?
    /// Deadlines that passed without a sentence in between.
    private var timeouts = 0

    package init(stripsMarkdown: Bool, failsWithSpeech: Bool) {
        script = SpeechScript(stripsMarkdown: stripsMarkdown)
        self.failsWithSpeech = failsWithSpeech
    }

    package var heldBytes: Int { script.heldBytes + queue[next...].reduce(0) { $0 + $1.heldBytes } + text.heldBytes }

    /// The share of sentences without audio, for the last message of the request.
    package var outcome: UpstreamEvent.Epilogue.Speech? { skipped == 0 ? nil : synthesized == 0 ? .failed : .partial }

    package mutating func append(_ text: [UInt8]) { queue += script.take(text) }

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
            } else if timeouts >= Self.mostTimeouts {
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

    /// The call of the sentence was started, and may have ended already.
    package mutating func started() {
        switch sentence {
        case .starting: sentence = .underWay
        case .endedWhileStarting: sentence = .none
        case .none, .underWay: break
        }
    }

    /// So much audio of the sentence has come.
    package mutating func add(nanoseconds: Int64) {
        if sentence == .starting || sentence == .underWay { text.add(nanoseconds: nanoseconds) }
    }

    /// The sentence has its audio.
    package mutating func completed() {
        guard end() else { return }
        text.end()
        synthesized += 1
        timeouts = 0
    }

    /// The sentence can't be synthesized.
    package mutating func failed(_ failure: CallFailure) -> Failed {
        guard end() else { return .ignored }
        if failsWithSpeech { return .fatal }
        timeouts = failure.code == .upstreamTimeout ? timeouts + 1 : 0
        noteFailure(failure)
        return .skipped
    }

    private mutating func end() -> Bool {
        switch sentence {
        case .starting: sentence = .endedWhileStarting
        case .underWay: sentence = .none
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

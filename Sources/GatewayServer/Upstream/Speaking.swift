import GatewayCore

/// The speaker of a request: the sentences that wait for it, the call that is under way, and how the text lies on the sound.
final class Speaking {
    /// The effect on a request of a sentence that the speaker fails on.
    enum Failures { case skip, fail }

    let stage: RequestPipeline.Stage
    private let failures: Failures
    private var script: SpeechScript
    private var waiting: [SpokenSentence] = []
    /// The index in ``waiting`` of the next sentence.
    private var next = 0
    var call: UpstreamCall?
    /// No more text comes.
    private(set) var isTextComplete = false
    private(set) var text = SpokenText()
    /// Sentences that have their sound, and those that haven't.
    private var spoken = 0
    private var failed = 0
    private(set) var lastFailure: CallFailure?
    /// Deadlines that passed without a sentence in between.
    private var timeouts = 0
    /// A sentence is being started: another failure mustn't start the next one within it.
    private var isStarting = false

    /// After so many deadlines in a row the speaker isn't waited for again.
    private static let mostTimeouts = 2

    init(_ stage: RequestPipeline.Stage, failures: Failures) {
        self.stage = stage
        self.failures = failures
        script = SpeechScript(stripsMarkdown: stage.stripsMarkdown)
    }

    var heldBytes: Int { script.heldBytes + waiting[next...].reduce(0) { $0 + $1.heldBytes } + text.heldBytes }

    /// The share of sentences without sound, for the last message of the request.
    var outcome: UpstreamEvent.Epilogue.Speech? { failed == 0 ? nil : spoken == 0 ? .failed : .partial }

    func take(_ text: [UInt8]) { waiting += script.take(text) }

    func endText() {
        guard !isTextComplete else { return }
        isTextComplete = true
        waiting += script.finish()
    }

    /// Starts sentences until one is under way.
    ///
    /// - Parameters:
    ///   - start: begins a call, which may end at once
    ///   - failed: a sentence is given up without a call
    /// - Returns: whether no sentence is left or under way; false also for a call from within `start`
    func advance(start: ([UInt8]) -> Void, failed: () -> Void) -> Bool {
        guard !isStarting else { return false }
        isStarting = true
        defer { isStarting = false }
        while call == nil, next < waiting.count {
            let sentence = waiting[next]
            next += 1
            text.begin(sentence)
            if sentence.isSilent {
                text.end()
            } else if timeouts >= Self.mostTimeouts {
                noteFailure(lastFailure)
                failed()
            } else {
                start(sentence.trimmed)
            }
        }
        if next == waiting.count { (waiting, next) = ([], 0) }
        return call == nil
    }

    func add(nanoseconds: Int64) { text.add(nanoseconds: nanoseconds) }

    /// The sentence under way has its sound.
    func endSentence() {
        call = nil
        text.end()
        spoken += 1
        timeouts = 0
    }

    /// - Returns: whether the request goes on without the sound of this sentence
    func passesOver(_ failure: CallFailure) -> Bool {
        guard failures == .skip else { return false }
        call = nil
        timeouts = failure.code == .upstreamTimeout ? timeouts + 1 : 0
        noteFailure(failure)
        return true
    }

    private func noteFailure(_ failure: CallFailure?) {
        text.end()
        failed += 1
        lastFailure = failure
    }
}

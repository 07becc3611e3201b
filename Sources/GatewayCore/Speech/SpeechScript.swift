/// Makes sentences for a speaker of a text that streams in.
///
/// The text is reduced to what can be spoken, and that is cut into sentences. A sentence without a letter or a digit isn't spoken: its part of
/// the text goes to the next sentence, or at the end of the text stands by itself as a silent one.
package struct SpeechScript: Sendable {
    private var speech: SpeechText
    private var splitter = SentenceSplitter()
    /// Those that no sentence has yet, from ``first`` on.
    private var runs: [SpokenRun] = []
    private var first = 0
    /// Bytes of the text that nothing was spoken for, for the next sentence.
    private var silent = 0

    /// - Parameter stripsMarkdown: whether marks, addresses and code are reduced
    package init(stripsMarkdown: Bool) { speech = SpeechText(stripsMarkdown: stripsMarkdown) }

    package var heldBytes: Int { speech.heldBytes + splitter.heldBytes + runs.count * 24 }

    package mutating func take(_ text: [UInt8]) -> [SpokenSentence] {
        speech.take(text)
        return sentences()
    }

    package mutating func finish() -> [SpokenSentence] {
        speech.finish()
        var found = sentences()
        if let rest = splitter.finish(), let sentence = sentence(rest) { found.append(sentence) }
        silent += runs[first...].reduce(0) { $0 + $1.source }
        (runs, first) = ([], 0)
        if silent > 0 {
            found.append(SpokenSentence(text: [], runs: [.replacement(0, for: silent)]))
            silent = 0
        }
        return found
    }

    private mutating func sentences() -> [SpokenSentence] {
        let (text, new) = speech.drain()
        for run in new { append(run) }
        var found: [SpokenSentence] = []
        for piece in splitter.take(text) {
            if let sentence = sentence(piece) { found.append(sentence) }
        }
        runs.removeFirst(first)
        first = 0
        return found
    }

    private mutating func append(_ run: SpokenRun) {
        if let last = runs.indices.last, last >= first, runs[last].kind == run.kind,
            run.kind == .copy || (runs[last].spoken == 0 && run.spoken == 0)
        {
            runs[last].spoken += run.spoken
            runs[last].source += run.source
        } else {
            runs.append(run)
        }
    }

    private mutating func sentence(_ text: [UInt8]) -> SpokenSentence? {
        var taken: [SpokenRun] = silent > 0 ? [.replacement(0, for: silent)] : []
        var left = text.count
        // Marks that follow belong to the sentence before them.
        while first < runs.count, left > 0 || runs[first].spoken == 0 {
            let run = runs[first]
            if run.spoken <= left {
                taken.append(run)
                first += 1
                left -= run.spoken
            } else if run.kind == .copy {
                taken.append(.copy(left))
                runs[first] = .copy(run.spoken - left)
                left = 0
            } else {
                // The sentence ends within other words: they count with its next part.
                taken.append(.replacement(left, for: 0))
                runs[first] = .replacement(run.spoken - left, for: run.source)
                left = 0
            }
        }
        guard text.hasWords else {
            silent = taken.reduce(0) { $0 + $1.source }
            return nil
        }
        silent = 0
        return SpokenSentence(text: text, runs: taken)
    }
}

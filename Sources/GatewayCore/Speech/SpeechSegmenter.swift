// SPDX-License-Identifier: Apache-2.0

/// A converter of streamed text, the source text, into sentences for a TTS service.
///
/// The source text is reduced to its speakable part, which is split into sentences. A sentence without a letter or a digit isn't
/// synthesized: its source text is added to the next sentence, or forms a silent sentence at the end of the text.
package struct SpeechSegmenter: Sendable {
    private var speech: SpeechText
    private var splitter = SentenceSplitter()
    /// The runs of the source text; those from ``first`` on aren't part of a sentence yet.
    private var runs: [SpokenRun] = []
    private var first = 0
    /// Bytes of source text that weren't synthesized and are added to the next sentence.
    private var silentBytes = 0

    /// - Parameter stripsMarkdown: whether Markdown, URLs and code are reduced to their speakable text
    package init(stripsMarkdown: Bool) { speech = SpeechText(stripsMarkdown: stripsMarkdown) }

    package var heldBytes: Int { speech.heldBytes + splitter.heldBytes + runs.count * 24 }

    package mutating func append(_ text: [UInt8]) -> [SpokenSentence] {
        speech.append(text)
        return sentences()
    }

    package mutating func finish() -> [SpokenSentence] {
        speech.finish()
        var found = sentences()
        if let rest = splitter.finish(), let sentence = sentence(rest) { found.append(sentence) }
        silentBytes += runs[first...].reduce(0) { $0 + $1.source }
        (runs, first) = ([], 0)
        if silentBytes > 0 {
            found.append(SpokenSentence(text: [], runs: [.replacement(0, for: silentBytes)]))
            silentBytes = 0
        }
        return found
    }

    private mutating func sentences() -> [SpokenSentence] {
        let (text, new) = speech.drain()
        for run in new { append(run) }
        var found: [SpokenSentence] = []
        for piece in splitter.append(text) {
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
        var sentenceRuns: [SpokenRun] = silentBytes > 0 ? [.replacement(0, for: silentBytes)] : []
        var remaining = text.count
        // The sentence includes the unspoken runs after its text.
        while first < runs.count, remaining > 0 || runs[first].spoken == 0 {
            let run = runs[first]
            if run.spoken <= remaining {
                sentenceRuns.append(run)
                first += 1
                remaining -= run.spoken
            } else if run.kind == .copy {
                sentenceRuns.append(.copy(remaining))
                runs[first] = .copy(run.spoken - remaining)
                remaining = 0
            } else {
                // The sentence ends within a replacement, whose source counts toward the next sentence.
                sentenceRuns.append(.replacement(remaining, for: 0))
                runs[first] = .replacement(run.spoken - remaining, for: run.source)
                remaining = 0
            }
        }
        guard text.hasWords else {
            silentBytes = sentenceRuns.reduce(0) { $0 + $1.source }
            return nil
        }
        silentBytes = 0
        return SpokenSentence(text: text, runs: sentenceRuns)
    }
}

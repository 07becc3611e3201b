// SPDX-License-Identifier: Apache-2.0

/// A run of source text (the text before Markdown is stripped), and the size of the text that is spoken for it.
package struct SpokenRun: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// The source text is spoken verbatim.
        case copy
        /// The source text is replaced: by nothing, as for markup, or by other words, as for URLs.
        case replacement
    }

    package var kind: Kind
    /// The number of spoken bytes.
    package var spoken: Int
    /// The number of bytes of source text.
    package var source: Int

    package static func copy(_ count: Int) -> SpokenRun { SpokenRun(kind: .copy, spoken: count, source: count) }
    package static func replacement(_ spoken: Int, for source: Int) -> SpokenRun {
        SpokenRun(kind: .replacement, spoken: spoken, source: source)
    }
}

/// A sentence for a TTS service, and the source text that it represents.
package struct SpokenSentence: Sendable, Hashable {
    /// The text to be spoken; empty if nothing can be spoken.
    package let text: [UInt8]
    private let runs: [SpokenRun]

    package init(text: [UInt8], runs: [SpokenRun]) {
        self.text = text
        self.runs = runs
    }

    package var isSilent: Bool { text.isEmpty }
    /// The number of bytes of source text.
    package var sourceCount: Int { runs.reduce(0) { $0 + $1.source } }
    package var heldBytes: Int { text.count + runs.count * 24 }

    /// The text without surrounding white space.
    package var trimmed: [UInt8] {
        var (start, end) = (0, text.count)
        while let (scalar, length) = text.scalar(at: start), scalar.isSpace { start += length }
        while let (scalar, begin) = text.scalar(before: end, from: start), scalar.isSpace { end = begin }
        return Array(text[start..<end])
    }

    /// Returns the number of bytes of source text that the first `spoken` bytes represent. A replacement counts once it is completely
    /// spoken.
    package func source(of spoken: Int) -> Int {
        var (left, count) = (spoken, 0)
        for run in runs {
            guard left > 0 else { break }
            guard run.spoken <= left else {
                if run.kind == .copy { count += left }
                break
            }
            left -= run.spoken
            count += run.source
        }
        return count
    }
}

/// A stretch of the text that a client sees, and the text that is spoken for it.
package struct SpokenRun: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// The text itself.
        case copy
        /// Nothing, as for marks, or other words, as for addresses.
        case replacement
    }

    package var kind: Kind
    /// Bytes that are spoken.
    package var spoken: Int
    /// Bytes of the text.
    package var source: Int

    package static func copy(_ count: Int) -> SpokenRun { SpokenRun(kind: .copy, spoken: count, source: count) }
    package static func replacement(_ spoken: Int, for source: Int) -> SpokenRun {
        SpokenRun(kind: .replacement, spoken: spoken, source: source)
    }
}

/// A sentence as a speaker is given it, and the part of the client's text that it stands for.
package struct SpokenSentence: Sendable, Hashable {
    /// Empty where nothing of the part can be spoken.
    package let text: [UInt8]
    private let runs: [SpokenRun]

    package init(text: [UInt8], runs: [SpokenRun]) {
        self.text = text
        self.runs = runs
    }

    package var isSilent: Bool { text.isEmpty }
    /// Bytes of the client's text.
    package var sourceCount: Int { runs.reduce(0) { $0 + $1.source } }
    package var heldBytes: Int { text.count + runs.count * 24 }

    /// Without white space around it.
    package var trimmed: [UInt8] {
        var (start, end) = (0, text.count)
        while let (scalar, length) = text.scalar(at: start), scalar.isSpace { start += length }
        while let (scalar, begin) = text.scalar(before: end, from: start), scalar.isSpace { end = begin }
        return Array(text[start..<end])
    }

    /// The bytes of the client's text that the first `spoken` bytes stand for. An address counts as soon as it is spoken whole.
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

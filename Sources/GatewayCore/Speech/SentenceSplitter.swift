// SPDX-License-Identifier: Apache-2.0

/// An incremental sentence splitter. The first sentence of a text can thus be synthesized before the rest is generated.
package struct SentenceSplitter: Sendable {
    /// The minimum size of a sentence in bytes; a shorter one is joined to the next.
    package static let shortest = 16
    /// The maximum length of a sentence in characters (grapheme clusters). A longer one is split at white space, otherwise after
    /// punctuation, otherwise between two characters.
    package static let longest = 400
    /// The maximum size of a sentence in bytes, which is reached before ``longest`` only if characters have many combining marks.
    package static let longestBytes = 16_384

    private var pending: [UInt8] = []
    /// The length of the prefix of ``pending`` in which no sentence ends.
    private var searched = 0

    package init() {}

    package var heldBytes: Int { pending.count }

    /// Appends text.
    ///
    /// - Returns: the completed sentences. All sentences and the result of ``finish()`` add up to the text, except for white space at the
    ///   end of the text.
    package mutating func append(_ text: [UInt8]) -> [[UInt8]] {
        pending += text
        var sentences: [[UInt8]] = []
        var start = 0
        while let end = endOfSentence(from: start) {
            sentences.append(Array(pending[start..<end]))
            (start, searched) = (end, 0)
        }
        pending.removeFirst(start)
        return sentences
    }

    /// Ends the text, and returns its last sentence; nil if only white space remains.
    package mutating func finish() -> [UInt8]? {
        defer { (pending, searched) = ([], 0) }
        var index = 0
        while let (scalar, length) = pending.scalar(at: index) {
            if !scalar.isSpace { return pending }
            index += length
        }
        return index < pending.count ? pending : nil
    }

    /// Whether a sentence ends at a position; `wait` when more text is needed to decide.
    private enum Boundary { case end(Int), none, wait }

    /// Returns the end of the sentence that begins at `start`; nil when more text is needed.
    private mutating func endOfSentence(from start: Int) -> Int? {
        var index = start + searched
        var limit: Int?
        while let (scalar, length) = pending.scalar(at: index) {
            if index - start >= Self.longest {
                limit = limit ?? endOfLongest(from: start) ?? .max
                if let limit, index >= limit { return cut(from: start, to: limit) }
            }
            let next = index + length
            var boundary = Boundary.none
            if scalar.isNewline {
                if index - start >= Self.shortest { boundary = afterSpace(next) }
            } else if scalar.isSpace {
                if index - start >= Self.shortest, scalar.canEndSentence { boundary = spaced(at: index, from: start, next: next) }
            } else if scalar.endsWithoutSpace {
                boundary = unspaced(at: index, from: start, next: next)
            }
            switch boundary {
            case .end(let end): return end
            case .wait:
                searched = index - start
                return nil
            case .none: index = next
            }
        }
        searched = index - start
        return nil
    }

    // MARK: Ends

    /// Ends the sentence after the white space received at `next`.
    private func afterSpace(_ next: Int) -> Boundary {
        var end = next
        while let (scalar, length) = pending.scalar(at: end) {
            guard scalar.isSpace else {
                // A combining mark forms a character with the space before it.
                return scalar.continuesCharacter ? .none : .end(end)
            }
            end += length
        }
        return .end(end)
    }

    /// Handles white space at `index`: the sentence ends if a terminator precedes it, ignoring closing quotes and brackets.
    private func spaced(at index: Int, from start: Int, next: Int) -> Boundary {
        var end = index
        while let (scalar, begin) = pending.scalar(before: end, from: start) {
            if scalar == "." {
                switch Abbreviations.classify(pending, dot: begin, from: start) {
                case .never: return .none
                case .unlessWordFollows:
                    var word = next
                    while let (scalar, length) = pending.scalar(at: word), scalar.isSpace { word += length }
                    guard let (scalar, _) = pending.scalar(at: word) else { return .wait }
                    if scalar.properties.isLowercase || scalar.properties.numericType != nil { return .none }
                    return afterSpace(next)
                case .none: return afterSpace(next)
                }
            }
            if scalar.endsBeforeSpace || scalar.endsWithoutSpace { return afterSpace(next) }
            guard scalar.closes else { return .none }
            end = begin
        }
        return .none
    }

    /// Handles a terminator that needs no white space after it: the sentence ends after further terminators and closing marks.
    private func unspaced(at index: Int, from start: Int, next: Int) -> Boundary {
        var end = next
        while true {
            guard let (scalar, length) = pending.scalar(at: end) else { return .wait }
            var isQuote = scalar == "\"" && pending[start..<end].count(where: { $0 == UInt8(ascii: "\"") }) % 2 == 1
            if scalar == "'" {
                guard let (following, _) = pending.scalar(at: end + length) else { return .wait }
                isQuote = following.isSpace
            }
            guard scalar.endsWithoutSpace || scalar.endsBeforeSpace || scalar.closesWithoutSpace || isQuote else { break }
            end += length
        }
        guard let (scalar, _) = pending.scalar(at: end), end - start >= Self.shortest, !scalar.continuesCharacter else { return .none }
        // The full-width punctuation in 3．14 and 12：30 separates digits.
        if end == next, scalar.properties.numericType != nil,
            pending.scalar(before: index, from: start)?.scalar.properties.numericType != nil
        {
            return .none
        }
        return scalar.isSpace ? afterSpace(end) : .end(end)
    }

    // MARK: Maximum length

    /// Returns the end of the longest sentence allowed at `start`; nil when the text isn't longer.
    private func endOfLongest(from start: Int) -> Int? {
        let isCut = pending.count - start > Self.longestBytes
        let text = String(decoding: pending[start..<(isCut ? start + Self.longestBytes : pending.count)], as: UTF8.self)
        var end = text.index(text.startIndex, offsetBy: Self.longest, limitedBy: text.endIndex) ?? text.endIndex
        if end == text.endIndex {
            guard isCut else { return nil }
            // The last character may be incomplete. If it is the only one, it is split between scalars.
            end = text.index(before: end)
            if end == text.startIndex { return scalarBoundary(before: start + Self.longestBytes) }
        }
        return min(start + text.utf8.distance(from: text.startIndex, to: end), pending.count)
    }

    /// Returns the last start of a scalar at or before `index`.
    private func scalarBoundary(before index: Int) -> Int {
        var boundary = index
        while index - boundary < 4, pending[boundary] & 0xC0 == 0x80 { boundary -= 1 }
        return boundary
    }

    /// Returns the end of a sentence that is too long: after the last white space before `limit`, otherwise after the last non-ASCII
    /// punctuation, otherwise at `limit`.
    private func cut(from start: Int, to limit: Int) -> Int {
        var (space, punctuation): (Int?, Int?) = (nil, nil)
        var index = start
        while let (scalar, length) = pending.scalar(at: index), index + length <= limit {
            index += length
            guard pending.scalar(at: index)?.scalar.continuesCharacter != true else { continue }
            if scalar.isSpace { space = index }
            if scalar.properties.isTerminalPunctuation, !scalar.isASCII { punctuation = index }
        }
        return space ?? punctuation ?? limit
    }
}

extension Unicode.Scalar {
    fileprivate var isNewline: Bool { self == "\n" || self == "\u{85}" || self == "\u{2028}" || self == "\u{2029}" }

    /// Whether a sentence may end at this white space: not at non-breaking spaces, and not between CR and LF.
    fileprivate var canEndSentence: Bool { self != "\u{A0}" && self != "\u{202F}" && self != "\u{2007}" && self != "\r" }

    /// Whether the scalar is a terminator only before white space, because it also occurs in words, numbers and URLs.
    fileprivate var endsBeforeSpace: Bool {
        switch self {
        case ".", "!", "?", ":", ";", "…", "\u{37E}": true
        default: ("\u{203C}"..."\u{203D}").contains(self) || ("\u{2047}"..."\u{2049}").contains(self) || self == "\u{2E2E}"
        }
    }

    /// Whether the scalar is a terminator of a script that needs no white space after it.
    fileprivate var endsWithoutSpace: Bool {
        guard value > 0x580 else { return false }
        switch self {
        // Arabic semicolon, Ethiopic semicolon and colons, Khmer ends of sentence and section, Tibetan shad.
        case "؛", "፤", "፥", "፦", "។", "៕", "៖", "៚", "\u{F0D}", "\u{F0E}": return true
        // Full-width colon and semicolon, halfwidth ideographic full stop.
        case "：", "；", "｡": return true
        default: return properties.isSentenceTerminal && !endsBeforeSpace
        }
    }

    /// Whether the scalar is a quotation mark, bracket or mark of emphasis that may follow a terminator before white space.
    fileprivate var closes: Bool {
        switch self {
        case "\"", "'", "*", "_", "`", "~", "＂", "＇": true
        default:
            switch properties.generalCategory {
            case .closePunctuation, .finalPunctuation, .initialPunctuation: true
            // Emoji may follow the terminator.
            case .otherSymbol, .modifierSymbol: !isASCII
            default: continuesCharacter
            }
        }
    }

    /// Whether the scalar may follow a terminator in scripts without white space between sentences. Narrower than ``closes``, because the
    /// next sentence may begin immediately with an opening quotation mark.
    fileprivate var closesWithoutSpace: Bool {
        switch properties.generalCategory {
        case .closePunctuation, .finalPunctuation: true
        default: self == "*" || self == "_" || self == "＂" || self == "＇"
        }
    }

    /// Whether the scalar extends the character before it.
    fileprivate var continuesCharacter: Bool {
        !isASCII && (properties.isGraphemeExtend || self == "\u{200D}" || properties.isEmojiModifier)
    }
}

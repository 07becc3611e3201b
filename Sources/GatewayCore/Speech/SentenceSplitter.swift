/// Cuts a text that comes in pieces into sentences, so that the first can be spoken before the last is written.
package struct SentenceSplitter: Sendable {
    /// The bytes of the shortest sentence; a shorter one is joined to the next.
    package static let shortest = 16
    /// The characters (grapheme clusters) of the longest sentence. A longer one is cut at white space, else after punctuation, else between two
    /// characters.
    package static let longest = 400
    /// The bytes of the longest sentence, which are reached before ``longest`` only where many marks are piled up on a character.
    package static let longestBytes = 16_384

    private var pending: [UInt8] = []
    /// Bytes of ``pending`` in which no sentence ends.
    private var searched = 0

    package init() {}

    package var heldBytes: Int { pending.count }

    /// - Returns: the sentences that are complete now. Together with ``finish()`` they add up to the text.
    package mutating func take(_ text: [UInt8]) -> [[UInt8]] {
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

    /// The rest at the end of the text; nil when that is nothing but white space.
    package mutating func finish() -> [UInt8]? {
        defer { (pending, searched) = ([], 0) }
        var index = 0
        while let (scalar, length) = pending.scalar(at: index) {
            if !scalar.isSpace { return pending }
            index += length
        }
        return index < pending.count ? pending : nil
    }

    private enum Verdict { case end(Int), goOn, wait }

    private mutating func endOfSentence(from start: Int) -> Int? {
        var index = start + searched
        var limit: Int?
        while let (scalar, length) = pending.scalar(at: index) {
            if index - start >= Self.longest {
                limit = limit ?? endOfLongest(from: start) ?? .max
                if let limit, index >= limit { return cut(from: start, to: limit) }
            }
            let next = index + length
            var verdict = Verdict.goOn
            if scalar.isNewline {
                if index - start >= Self.shortest { verdict = afterSpace(next) }
            } else if scalar.isSpace {
                if index - start >= Self.shortest, scalar.canEndSentence { verdict = spaced(at: index, from: start, next: next) }
            } else if scalar.endsWithoutSpace {
                verdict = unspaced(at: index, from: start, next: next)
            }
            switch verdict {
            case .end(let end): return end
            case .wait:
                searched = index - start
                return nil
            case .goOn: index = next
            }
        }
        searched = index - start
        return nil
    }

    // MARK: Ends

    /// Ends the sentence after the white space that begins before `next`, as far as the white space has come.
    private func afterSpace(_ next: Int) -> Verdict {
        var end = next
        while let (scalar, length) = pending.scalar(at: end) {
            guard scalar.isSpace else {
                // A mark belongs to the space before it.
                return scalar.continuesCharacter ? .goOn : .end(end)
            }
            end += length
        }
        return .end(end)
    }

    /// White space at `index`: the sentence ends if a terminator is before it, quotes and brackets that close left out.
    private func spaced(at index: Int, from start: Int, next: Int) -> Verdict {
        var end = index
        while let (scalar, begin) = pending.scalar(before: end, from: start) {
            if scalar == "." {
                switch Abbreviations.judge(pending, dot: begin, from: start) {
                case .never: return .goOn
                case .unlessWordFollows:
                    var word = next
                    while let (scalar, length) = pending.scalar(at: word), scalar.isSpace { word += length }
                    guard let (scalar, _) = pending.scalar(at: word) else { return .wait }
                    if scalar.properties.isLowercase || scalar.properties.numericType != nil { return .goOn }
                    return afterSpace(next)
                case .none: return afterSpace(next)
                }
            }
            if scalar.endsBeforeSpace || scalar.endsWithoutSpace { return afterSpace(next) }
            guard scalar.closes else { return .goOn }
            end = begin
        }
        return .goOn
    }

    /// A terminator that needs no white space after it: the sentence ends after further terminators and closing marks.
    private func unspaced(at index: Int, from start: Int, next: Int) -> Verdict {
        var end = next
        while true {
            guard let (scalar, length) = pending.scalar(at: end) else { return .wait }
            var isQuote = scalar == "\"" && pending[start..<end].count(where: { $0 == UInt8(ascii: "\"") }) % 2 == 1
            if scalar == "'" {
                guard let (behind, _) = pending.scalar(at: end + length) else { return .wait }
                isQuote = behind.isSpace
            }
            guard scalar.endsWithoutSpace || scalar.endsBeforeSpace || scalar.closesWithoutSpace || isQuote else { break }
            end += length
        }
        guard let (scalar, _) = pending.scalar(at: end), end - start >= Self.shortest, !scalar.continuesCharacter else { return .goOn }
        // 3．14 and 12：30
        if end == next, scalar.properties.numericType != nil,
            pending.scalar(before: index, from: start)?.scalar.properties.numericType != nil
        {
            return .goOn
        }
        return scalar.isSpace ? afterSpace(end) : .end(end)
    }

    // MARK: The longest

    /// Where the first character begins that is one too many; nil when there is none.
    private func endOfLongest(from start: Int) -> Int? {
        let isCut = pending.count - start > Self.longestBytes
        let text = String(decoding: pending[start..<(isCut ? start + Self.longestBytes : pending.count)], as: UTF8.self)
        var end = text.index(text.startIndex, offsetBy: Self.longest, limitedBy: text.endIndex) ?? text.endIndex
        if end == text.endIndex {
            guard isCut else { return nil }
            // The last character may go on; where there is only one, it is cut.
            end = text.index(before: end)
            if end == text.startIndex { return scalarBorder(before: start + Self.longestBytes) }
        }
        return min(start + text.utf8.distance(from: text.startIndex, to: end), pending.count)
    }

    private func scalarBorder(before index: Int) -> Int {
        var border = index
        while index - border < 4, pending[border] & 0xC0 == 0x80 { border -= 1 }
        return border
    }

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

    /// White space at which a sentence may end: not one that forbids a break, and not the first half of CR LF.
    fileprivate var canEndSentence: Bool { self != "\u{A0}" && self != "\u{202F}" && self != "\u{2007}" && self != "\r" }

    /// A terminator that is one only before white space: within words, numbers and addresses it is none.
    fileprivate var endsBeforeSpace: Bool {
        switch self {
        case ".", "!", "?", ":", ";", "…", "\u{37E}": true
        default: ("\u{203C}"..."\u{203D}").contains(self) || ("\u{2047}"..."\u{2049}").contains(self) || self == "\u{2E2E}"
        }
    }

    /// A terminator of a script in which no white space has to follow it.
    fileprivate var endsWithoutSpace: Bool {
        guard value > 0x580 else { return false }
        switch self {
        // Arabic semicolon; Ethiopic semicolon and colons; Khmer ends of sentence and section; Tibetan shad.
        case "؛", "፤", "፥", "፦", "។", "៕", "៖", "៚", "\u{F0D}", "\u{F0E}": return true
        // Full-width colon and semicolon, halfwidth ideographic full stop.
        case "：", "；", "｡": return true
        default: return properties.isSentenceTerminal && !endsBeforeSpace
        }
    }

    /// A quotation mark, bracket or mark of emphasis that may stand between a terminator and white space.
    fileprivate var closes: Bool {
        switch self {
        case "\"", "'", "*", "_", "`", "~", "＂", "＇": true
        default:
            switch properties.generalCategory {
            case .closePunctuation, .finalPunctuation, .initialPunctuation: true
            // An emoji behind the terminator, and its parts.
            case .otherSymbol, .modifierSymbol: !isASCII
            default: continuesCharacter
            }
        }
    }

    /// The same where the next sentence may follow at once, and an opening quotation mark begins it.
    fileprivate var closesWithoutSpace: Bool {
        switch properties.generalCategory {
        case .closePunctuation, .finalPunctuation: true
        default: self == "*" || self == "_" || self == "＂" || self == "＇"
        }
    }

    /// Belongs to the character before it.
    fileprivate var continuesCharacter: Bool {
        !isASCII && (properties.isGraphemeExtend || self == "\u{200D}" || properties.isEmojiModifier)
    }
}

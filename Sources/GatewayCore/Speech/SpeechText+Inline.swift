// SPDX-License-Identifier: Apache-2.0

/// Inline markup.
extension SpeechText {
    /// Handles the inline text at `index`.
    ///
    /// - Parameter end: the end of the text, or of the enclosing construct
    mutating func inline(at index: Int, to end: Int, depth: Int) -> Int? {
        let byte = pending[index]
        switch byte {
        case 0x0A: return lineEnd(at: index)
        case UInt8(ascii: "\\"): return escape(at: index, to: end)
        case UInt8(ascii: "`"): return code(at: index, to: end, depth: depth)
        case UInt8(ascii: "*"), UInt8(ascii: "_"), UInt8(ascii: "~"): return emphasis(at: index, to: end)
        case UInt8(ascii: "!"):
            if index + 1 == end, isOpen(end) { return nil }
            guard index + 1 < end, pending[index + 1] == UInt8(ascii: "[") else { return copy(index..<index + 1) }
            return link(at: index + 1, to: end, from: index, depth: depth)
        case UInt8(ascii: "["): return link(at: index, to: end, from: index, depth: depth)
        case UInt8(ascii: "<"): return tag(at: index, to: end)
        case UInt8(ascii: "&"): return entity(at: index, to: end)
        case UInt8(ascii: "|"): return separator(at: index, to: end)
        case 0x20 where isRow:
            let count = blanks(at: index, to: end)
            if index + count == end, isOpen(end), count < Bounds.construct { return nil }
            guard index + count < end, pending[index + count] == UInt8(ascii: "|") else { return copy(index..<index + max(1, count)) }
            return drop(count)
        case UInt8(ascii: "#") where isHeading:
            // The closing sequence of a heading is markup.
            let count = run(of: byte, at: index, to: end)
            let stop = index + count + blanks(at: index + count, to: end)
            if stop == end, isOpen(end), stop - index < Bounds.construct { return nil }
            return previous.isSpace && isLineEnd(stop, end) ? drop(stop - index) : copy(index..<index + count)
        default: return plain(at: index, to: end)
        }
    }

    /// Handles text up to the next markup character.
    private mutating func plain(at index: Int, to end: Int) -> Int? {
        var stop = index
        while stop < end {
            let byte = pending[stop]
            let isMark =
                switch byte {
                case 0x0A, UInt8(ascii: "\\"), UInt8(ascii: "`"), UInt8(ascii: "*"), UInt8(ascii: "_"), UInt8(ascii: "~"),
                    UInt8(ascii: "!"),
                    UInt8(ascii: "["), UInt8(ascii: "<"), UInt8(ascii: "&"), UInt8(ascii: "|"):
                    true
                case 0x20: isRow
                case UInt8(ascii: "#"): isHeading
                default: false
                }
            if isMark, stop > index { break }
            if SpokenURL.mayBegin(with: byte), !(stop > index ? pending.scalar(before: stop, from: index)?.scalar : previous).isWord {
                switch url(at: stop, to: end) {
                case .wait: return stop > index ? copy(index..<stop) : nil
                case .at(let close): return stop > index ? copy(index..<stop) : emit(url: stop..<close)
                case .none: break
                }
            }
            guard let (_, count) = pending.scalar(at: stop) else {
                // The character is incomplete.
                if isOpen(end) { return stop > index ? copy(index..<stop) : nil }
                stop = end
                break
            }
            stop = min(stop + count, end)
        }
        return copy(index..<stop)
    }

    private mutating func escape(at index: Int, to end: Int) -> Int? {
        guard index + 1 < end else { return isOpen(end) ? nil : copy(index..<end) }
        let next = pending[index + 1]
        if next == 0x0A { return drop(1) }
        let isPunctuation = (0x21...0x7E).contains(next) && !Unicode.Scalar(next).isWordPart
        guard isPunctuation else { return copy(index..<index + 1) }
        return drop(1) + copy(index + 1..<index + 2)
    }

    private mutating func code(at index: Int, to end: Int, depth: Int) -> Int? {
        let count = run(of: UInt8(ascii: "`"), at: index, to: end)
        var position = index + count
        if position == end, isOpen(end), count < Bounds.construct { return nil }
        while true {
            switch find(
                from: position, to: end, within: Bounds.construct - min(position - index, Bounds.construct),
                { $0 == UInt8(ascii: "`") || $0 == 0x0A })
            {
            case .wait: return nil
            case .at(let close) where pending[close] == UInt8(ascii: "`"):
                let marks = run(of: UInt8(ascii: "`"), at: close, to: end)
                if close + marks == end, isOpen(end) { return nil }
                guard marks == count else {
                    position = close + marks
                    continue
                }
                return drop(count) + copy(index + count..<close) + drop(count)
            case .at, .none: break
            }
            // Three backticks that aren't closed on the line open a code block, even in the middle of the line.
            if count >= 3, depth == 0 { state = .fence(mark: UInt8(ascii: "`"), count: count, isLineStart: false) }
            return drop(count)
        }
    }

    private mutating func emphasis(at index: Int, to end: Int) -> Int? {
        let byte = pending[index]
        let count = run(of: byte, at: index, to: end)
        let stop = index + count
        if isOpen(end), count < Bounds.construct, pending.scalar(at: stop) == nil { return nil }
        let next = stop < end ? pending.scalar(at: stop)?.scalar ?? "\n" : "\n"
        let isMark: Bool
        if previous.isSpace, next.isSpace {
            isMark = false
        } else {
            switch byte {
            // The asterisk of 2*3 isn't markup.
            case UInt8(ascii: "*"): isMark = count > 1 || !(previous.isASCIIWord && next.isASCIIWord)
            // The underscore of snake_case isn't markup.
            case UInt8(ascii: "_"): isMark = !(previous.isWordPart && next.isWordPart)
            default: isMark = count > 1
            }
        }
        guard isMark else { return copy(index..<stop) }
        previous = Unicode.Scalar(byte)
        return drop(count)
    }

    /// Handles the separator of table cells, which is spoken as a comma.
    private mutating func separator(at index: Int, to end: Int) -> Int? {
        let blanks = blanks(at: index + 1, to: end)
        let stop = index + 1 + blanks
        if stop == end, isOpen(end), blanks < Bounds.construct { return nil }
        if isLineEnd(stop, end) || previous == "," || previous == "\n" { return drop(stop - index) }
        let count = emit(", ".utf8, for: stop - index)
        previous = ","
        return count
    }
}

extension Unicode.Scalar {
    fileprivate var isASCIIWord: Bool { isASCII && isWordPart }
}

extension Optional<Unicode.Scalar> {
    /// Whether the scalar prevents a URL from beginning after it: a letter or a digit, except in scripts without spaces between words.
    fileprivate var isWord: Bool { self.map { $0.value < 0x590 && $0.isWordPart } ?? false }
}

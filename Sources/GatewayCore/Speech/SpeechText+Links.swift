// SPDX-License-Identifier: Apache-2.0

/// Links, images, footnotes and URLs.
extension SpeechText {
    /// Handles an opening bracket: a link or an image is spoken as its text, a footnote reference is dropped, any other bracket is kept
    /// verbatim.
    ///
    /// - Parameters:
    ///   - index: the index of the bracket
    ///   - begin: the start of the construct: the exclamation mark of an image, otherwise the bracket
    mutating func link(at index: Int, to end: Int, from begin: Int, depth: Int) -> Int? {
        let close: Int
        switch bracket(at: index, to: end) {
        case .wait: return nil
        case .none: return copy(begin..<index + 1)
        case .at(let position): close = position
        }
        if close + 1 == end, isOpen(end) { return nil }
        if close > index + 2, pending[index + 1] == UInt8(ascii: "^") { return drop(close + 1 - begin) }
        var target = Match.none
        if close + 1 < end, pending[close + 1] == UInt8(ascii: "(") {
            target = self.target(at: close + 1, to: end)
        } else if close + 1 < end, pending[close + 1] == UInt8(ascii: "[") {
            target = find(from: close + 2, to: end, within: Bounds.construct) { $0 == UInt8(ascii: "]") || $0 == 0x0A }
            if case .at(let position) = target, pending[position] == 0x0A { target = .none }
        }
        switch target {
        case .wait: return nil
        case .none: return copy(begin..<index + 1)
        case .at(let last):
            var count = drop(index + 1 - begin)
            previous = "["
            if depth < Bounds.depth {
                var position = index + 1
                let before = state
                // The construct is complete, so no step waits for more text.
                while position < close, let step = inline(at: position, to: close, depth: depth + 1) {
                    count += step
                    position += step
                }
                state = before
            } else {
                count += copy(index + 1..<close)
            }
            return count + drop(max(last + 1 - begin - count, 0))
        }
    }

    /// Finds the bracket that closes the one at `index` on the same line.
    private mutating func bracket(at index: Int, to end: Int) -> Match {
        var (depth, isEscaped) = (0, false)
        let found = find(from: index, to: end, within: Bounds.construct) { byte in
            defer { isEscaped = !isEscaped && byte == UInt8(ascii: "\\") }
            if isEscaped { return false }
            switch byte {
            case UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "]"): depth -= 1
            case 0x0A: return true
            default: break
            }
            return depth == 0
        }
        if case .at(let position) = found, pending[position] == 0x0A { return .none }
        return found
    }

    /// Finds the end of `(url "title")` on the same line.
    private mutating func target(at index: Int, to end: Int) -> Match {
        var (depth, isEscaped, quote) = (0, false, UInt8(0))
        var before = UInt8(ascii: "(")
        let found = find(from: index, to: end, within: Bounds.url) { byte in
            defer { (isEscaped, before) = (!isEscaped && byte == UInt8(ascii: "\\"), byte) }
            if isEscaped { return false }
            if byte == 0x0A { return true }
            if quote != 0 {
                if byte == quote { quote = 0 }
                return false
            }
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                if before == 0x20 { quote = byte }
            case UInt8(ascii: "<"):
                if depth == 1, before == UInt8(ascii: "(") { quote = UInt8(ascii: ">") }
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"): depth -= 1
            default: break
            }
            return depth == 0
        }
        if case .at(let position) = found, pending[position] == 0x0A { return .none }
        return found
    }

    // MARK: URLs

    /// Finds the end of the URL that begins at `index`, if any.
    mutating func url(at index: Int, to end: Int) -> Match {
        var isPartial = false
        guard
            SpokenURL.prefixes.contains(where: { prefix in
                let length = min(prefix.utf8CodeUnitCount, end - index)
                for offset in 0..<length where SpokenURL.lowercase(pending[index + offset]) != SpokenURL.byte(prefix, offset) {
                    return false
                }
                if length < prefix.utf8CodeUnitCount { isPartial = true }
                return length == prefix.utf8CodeUnitCount
            })
        else { return isPartial && isOpen(end) ? .wait : .none }
        var stop = index
        while stop < end {
            guard budget > 0 else { return .none }
            guard stop - index < Bounds.url else { return .at(stop) }
            guard let (scalar, count) = pending.scalar(at: stop) else {
                if isOpen(end) { return .wait }
                break
            }
            guard SpokenURL.mayContain(scalar) else { break }
            budget -= count
            stop += count
        }
        if stop == end, isOpen(end) { return .wait }
        stop = SpokenURL.trimmed(pending[index..<stop])
        return SpokenURL.host(in: pending[index..<stop]).isEmpty ? .none : .at(stop)
    }

    mutating func emit(url range: Range<Int>) -> Int {
        if range.count >= Bounds.url { state = .url }
        return emit(Array(SpokenURL.host(in: pending[range])), for: range.count)
    }
}

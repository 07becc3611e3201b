// SPDX-License-Identifier: Apache-2.0

/// Markup at the start of a line, and code blocks.
extension SpeechText {
    /// Handles the start of a line at `index`.
    mutating func lineStart(at index: Int, isInItem: Bool) -> Int? {
        let end = pending.count
        let byte = pending[index]
        switch byte {
        case 0x20, 0x09: return drop(1)
        case 0x0A, 0x0D: return lineEnd(at: index)
        case UInt8(ascii: ">"): return drop(1)
        case UInt8(ascii: "#"):
            let count = run(of: byte, at: index, to: end)
            if index + count == end, isOpen(end), count <= 6 { return nil }
            guard count <= 6, isLineEnd(index + count, end) || blanks(at: index + count, to: end) > 0 else { break }
            isHeading = true
            state = .inline
            let blanks = blanks(at: index + count, to: end)
            return drop(count + blanks)
        case UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "*"), UInt8(ascii: "="), UInt8(ascii: "_"), UInt8(ascii: "|"),
            UInt8(ascii: ":"):
            guard let count = marks(at: index, to: end) else { return nil }
            if count > 0 { return count }
        case UInt8(ascii: "`"), UInt8(ascii: "~"):
            guard let count = openingFence(at: index, to: end) else { return nil }
            if count > 0 { return count }
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            guard let count = number(at: index, to: end) else { return nil }
            if count > 0 { return count }
        case UInt8(ascii: "["):
            guard let count = label(at: index, to: end, isInItem: isInItem) else { return nil }
            if count > 0 { return count }
        case 0xE2:
            // Models also write these bullets, which aren't Markdown.
            guard let (scalar, count) = pending.scalar(at: index) else {
                if isOpen(end) { return nil }
                break
            }
            if ["•", "◦", "‣", "▪", "●"].contains(scalar) { return drop(count) }
        default: break
        }
        state = .inline
        return 0
    }

    /// Handles the line end at `index`.
    mutating func lineEnd(at index: Int) -> Int {
        (isRow, isHeading) = (false, false)
        state = .lineStart(isInItem: false)
        return copy(index..<index + 1)
    }

    /// Handles a line that consists of marks (a thematic break, a heading underline, or the delimiter row of a table), a bullet, or the
    /// start of a table row.
    private mutating func marks(at index: Int, to end: Int) -> Int? {
        let marks: InlineArray<9, UInt8> = [0x2D, 0x2B, 0x2A, 0x3D, 0x5F, 0x7C, 0x3A, 0x20, 0x09]
        switch find(from: index, to: end, within: Bounds.construct, { byte in !marks.indices.contains { marks[$0] == byte } }) {
        case .wait: return nil
        case .at(let stop) where isLineEnd(stop, end): return drop(stop - index)
        case .none where !isOpen(end) && budget > 0 && end - index < Bounds.construct: return drop(end - index)
        case .at, .none: break
        }
        let byte = pending[index]
        if byte == UInt8(ascii: "|") {
            (isRow, state) = (true, .inline)
            let blanks = blanks(at: index + 1, to: end)
            return drop(1 + blanks)
        }
        let isBullet = byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "*")
        guard isBullet, blanks(at: index + 1, to: end) > 0 else { return 0 }
        state = .lineStart(isInItem: true)
        return drop(2)
    }

    /// Handles the number of a list item: "1." is spoken, and the text after it is treated as the start of a line.
    private mutating func number(at index: Int, to end: Int) -> Int? {
        var stop = index
        while stop < end, stop - index < 9, (0x30...0x39).contains(pending[stop]) { stop += 1 }
        guard stop < end else { return isOpen(end) ? nil : 0 }
        guard pending[stop] == UInt8(ascii: ".") || pending[stop] == UInt8(ascii: ")") else { return 0 }
        guard stop + 1 < end else { return isOpen(end) ? nil : 0 }
        guard pending[stop + 1] == 0x20 || pending[stop + 1] == 0x09 else { return 0 }
        state = .lineStart(isInItem: true)
        return copy(index..<stop + 2)
    }

    /// Handles the checkbox of a task, the label of a footnote, or a reference definition, which is dropped completely.
    private mutating func label(at index: Int, to end: Int, isInItem: Bool) -> Int? {
        let close: Int
        switch find(from: index + 1, to: end, within: Bounds.construct, { $0 == UInt8(ascii: "]") || $0 == 0x0A }) {
        case .wait: return nil
        case .none: return 0
        case .at(let position): close = position
        }
        guard pending[close] == UInt8(ascii: "]") else { return 0 }
        if close + 1 == end, isOpen(end) { return nil }
        if isInItem, close == index + 2, [0x20, UInt8(ascii: "x"), UInt8(ascii: "X")].contains(pending[index + 1]) {
            state = .inline
            let blanks = blanks(at: close + 1, to: end)
            return drop(3 + blanks)
        }
        guard close + 1 < end, pending[close + 1] == UInt8(ascii: ":"), close > index + 1 else { return 0 }
        if pending[index + 1] == UInt8(ascii: "^") {
            let blanks = blanks(at: close + 2, to: end)
            return drop(close + 2 + blanks - index)
        }
        let stop: Int
        switch find(from: close + 2, to: end, within: Bounds.url, { $0 == 0x0A }) {
        case .wait: return nil
        case .none where isOpen(end) || budget <= 0: return 0
        case .none: stop = end
        case .at(let position): stop = position
        }
        // A definition is one word, optionally followed by a title in quotation marks or parentheses; other lines are ordinary text.
        var words = pending[close + 2..<stop].split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }[...]
        guard words.popFirst() != nil else { return 0 }
        if let title = words.first?.first, ![UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "(")].contains(title) { return 0 }
        state = .skippedLine
        return drop(stop - index)
    }

    // MARK: Code blocks

    /// Handles the opening fence of a code block.
    private mutating func openingFence(at index: Int, to end: Int) -> Int? {
        let mark = pending[index]
        let count = run(of: mark, at: index, to: end)
        if index + count == end, isOpen(end), count < Bounds.construct { return nil }
        guard count >= 3 else { return 0 }
        // A backtick later in the line makes it inline code (CommonMark §4.5).
        if mark == UInt8(ascii: "`") {
            switch find(from: index + count, to: end, within: Bounds.construct, { $0 == mark || $0 == 0x0A }) {
            case .wait: return nil
            case .at(let position) where pending[position] == mark: return 0
            case .at, .none: break
            }
        }
        state = .fence(mark: mark, count: count, isLineStart: false)
        return drop(count)
    }

    /// Drops a line of a code block, or its closing fence.
    mutating func fence(at index: Int, mark: UInt8, count: Int, isLineStart: Bool) -> Int? {
        let end = pending.count
        guard isLineStart else {
            let stop = pending[index...].firstIndex(of: 0x0A)
            if stop != nil { state = .fence(mark: mark, count: count, isLineStart: true) }
            return drop((stop.map { $0 + 1 } ?? end) - index)
        }
        var position = index
        while position < end, position - index < Bounds.construct, [0x20, 0x09, UInt8(ascii: ">")].contains(pending[position]) {
            position += 1
        }
        let marks = run(of: mark, at: position, to: end)
        position += marks
        if position == end, isOpen(end), position - index < Bounds.construct { return nil }
        guard marks >= count else {
            state = .fence(mark: mark, count: count, isLineStart: false)
            return 0
        }
        position += blanks(at: position, to: end)
        if position == end, isOpen(end), position - index < Bounds.construct { return nil }
        state = isLineEnd(position, end) ? .lineStart(isInItem: false) : .fence(mark: mark, count: count, isLineStart: false)
        return drop(position - index)
    }
}

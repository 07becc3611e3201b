// SPDX-License-Identifier: Apache-2.0

/// A converter of streamed Markdown, the source text, to speakable text, with a mapping from the spoken text to the source text.
///
/// Markup for emphasis, headings, lists, quotes and tables is dropped. A link is spoken as its text, an image as its description, a URL as
/// its host, inline code as its content. Code blocks, comments, tags and reference definitions are dropped. The syntax is CommonMark 0.31
/// with GitHub's extensions, parsed within ``Bounds``: a construct that exceeds them or has no end is kept verbatim.
package struct SpeechText: Sendable {
    /// The maximum sizes of constructs in bytes. A construct isn't spoken until its end is found.
    enum Bounds {
        /// Link text, inline code, a tag, a line of marks or a reference definition.
        static let construct = 1024
        /// A URL, or the target of a link.
        static let url = 2048
        static let entity = 32
        /// The maximum nesting depth of constructs, such as an image in a link.
        static let depth = 3
    }

    enum State: Sendable, Hashable {
        case lineStart(isInItem: Bool)
        case inline
        /// The rest of the line is dropped.
        case skippedLine
        /// In a code block, until a fence of at least `count` marks.
        case fence(mark: UInt8, count: Int, isLineStart: Bool)
        case comment
        /// In the rest of a URL that exceeds its bound.
        case url
    }

    /// The result of a search for the end of a construct; `wait` when more text is needed.
    enum Match { case at(Int), none, wait }

    private let stripsMarkdown: Bool
    /// The part of the text that isn't processed yet.
    var pending: [UInt8] = []
    var state = State.lineStart(isInItem: false)
    /// Whether the position is in a table row.
    var isRow = false
    /// Whether the position is in a heading.
    var isHeading = false
    /// The scalar before the position.
    var previous: Unicode.Scalar = "\n"
    /// Whether the text is complete.
    var isFinal = false
    /// The remaining bytes of lookahead for the current input. The bound keeps nested constructs from taking quadratic time.
    var budget = 0
    private var spoken: [UInt8] = []
    private var runs: [SpokenRun] = []

    package init(stripsMarkdown: Bool) { self.stripsMarkdown = stripsMarkdown }

    package var heldBytes: Int { pending.count + spoken.count }

    package mutating func append(_ text: [UInt8]) {
        guard stripsMarkdown else {
            guard !text.isEmpty else { return }
            spoken += text
            return runs.append(.copy(text.count))
        }
        pending += text
        process()
    }

    /// Ends the text, and resets the state for another one.
    package mutating func finish() {
        isFinal = true
        process()
        _ = copy(pending.indices)
        (pending, isFinal, state, previous) = ([], false, .lineStart(isInItem: false), "\n")
        (isRow, isHeading) = (false, false)
    }

    /// Removes and returns the speakable text so far. The runs of all calls add up to the source text.
    package mutating func drain() -> (text: [UInt8], runs: [SpokenRun]) {
        defer { (spoken, runs) = ([], []) }
        return (spoken, runs)
    }

    private mutating func process() {
        budget = 8 * pending.count + 4096
        var index = 0
        while index < pending.count, let count = step(at: index) { index += count }
        pending.removeFirst(index)
    }

    /// Processes the text at `index`. The handlers that this function calls have the same result.
    ///
    /// - Returns: the number of processed bytes; 0 if only the state has changed; nil when more text is needed
    private mutating func step(at index: Int) -> Int? {
        switch state {
        case .lineStart(let isInItem): return lineStart(at: index, isInItem: isInItem)
        case .inline: return inline(at: index, to: pending.count, depth: 0)
        case .skippedLine:
            let end = pending[index...].firstIndex(of: UInt8(ascii: "\n")) ?? pending.count
            if end < pending.count { state = .lineStart(isInItem: false) }
            return drop(end - index)
        case .fence(let mark, let count, let isLineStart): return fence(at: index, mark: mark, count: count, isLineStart: isLineStart)
        case .comment:
            var end = index
            while end + 2 < pending.count {
                if pending[end] == UInt8(ascii: "-"), pending[end + 1] == UInt8(ascii: "-"), pending[end + 2] == UInt8(ascii: ">") {
                    state = .inline
                    return drop(end + 3 - index)
                }
                end += 1
            }
            let count = isFinal ? pending.count - index : end - index
            return count > 0 ? drop(count) : nil
        case .url:
            let end = pending[index...].firstIndex { $0 <= 0x20 } ?? pending.count
            if end < pending.count { state = .inline }
            return drop(end - index)
        }
    }

    // MARK: Output

    /// Copies source text to the spoken text, and returns its size in bytes.
    mutating func copy(_ range: Range<Int>) -> Int {
        guard !range.isEmpty else { return 0 }
        spoken += pending[range]
        runs.append(.copy(range.count))
        previous = pending.scalar(before: range.upperBound, from: range.lowerBound)?.scalar ?? previous
        return range.count
    }

    /// Drops `count` bytes of source text, and returns `count`.
    mutating func drop(_ count: Int) -> Int {
        if count > 0 { runs.append(.replacement(0, for: count)) }
        return count
    }

    /// Adds spoken text that replaces `count` bytes of source text, and returns `count`.
    mutating func emit(_ text: some Collection<UInt8>, for count: Int) -> Int {
        spoken += text
        runs.append(.replacement(text.count, for: count))
        previous = spoken.scalar(before: spoken.count)?.scalar ?? previous
        return count
    }

    // MARK: Lookahead

    /// Finds the first byte from `index` that matches, before `end` and within `bound`.
    mutating func find(from index: Int, to end: Int, within bound: Int, _ isMatch: (UInt8) -> Bool) -> Match {
        guard bound > 0 else { return .none }
        var position = index
        while position < end {
            guard position - index < bound, budget > 0 else { return .none }
            budget -= 1
            if isMatch(pending[position]) { return .at(position) }
            position += 1
        }
        return isOpen(end) ? .wait : .none
    }

    /// Returns whether more text may follow `end`.
    func isOpen(_ end: Int) -> Bool { !isFinal && end == pending.count }

    /// Returns the number of consecutive occurrences of a byte at `index`.
    func run(of byte: UInt8, at index: Int, to end: Int) -> Int {
        var position = index
        while position < end, pending[position] == byte { position += 1 }
        return position - index
    }

    /// Returns the number of spaces and tabs at `index`.
    func blanks(at index: Int, to end: Int) -> Int {
        var position = index
        while position < end, position - index < Bounds.construct, pending[position] == 0x20 || pending[position] == 0x09 { position += 1 }
        return position - index
    }

    /// Returns whether the line or the text ends at `index`.
    func isLineEnd(_ index: Int, _ end: Int) -> Bool { index >= end || pending[index] == 0x0A || pending[index] == 0x0D }
}

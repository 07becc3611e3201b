// SPDX-License-Identifier: Apache-2.0

/// A parser that separates a model's reasoning, `<think>…</think>` at the beginning of the content, from its response.
///
/// Servers that don't parse reasoning send both as one text. Tags later in the text are part of the response.
package struct ReasoningTags: Sendable {
    private enum State: Sendable {
        /// At the beginning; the held-back bytes may become an opening tag.
        case beginning([UInt8])
        /// Between the tags; the last bytes may be the beginning of the closing tag.
        case reasoning(closing: [UInt8], tail: [UInt8])
        case response
    }

    private static let names = ["think", "thinking"]
    private static let tags = names.map { (opening: Array("<\($0)>".utf8), closing: Array("</\($0)>".utf8)) }
    /// The maximum white space before an opening tag in bytes.
    private static let maxBlanks = 64

    private var state = State.beginning([])
    /// Whether a tag was closed; the white space between the tag and the response is dropped.
    private var dropsBlanks = false

    package init() {}

    /// Parses the next piece of the content.
    ///
    /// - Returns: the part of the text that belongs to the response, and the number of bytes of reasoning
    package mutating func receive(_ piece: [UInt8]) -> (response: [UInt8], reasoningBytes: Int) {
        var rest = piece
        var reasoningBytes = 0
        while true {
            switch state {
            case .response: return (rest, reasoningBytes)
            case .beginning(let held):
                let text = held + rest
                let blanks = text.prefix { $0 <= 0x20 }.count
                let visible = text[blanks...]
                if let tag = Self.tags.first(where: { visible.starts(with: $0.opening) }) {
                    rest = Array(visible.dropFirst(tag.opening.count))
                    state = .reasoning(closing: tag.closing, tail: [])
                    continue
                }
                if blanks <= Self.maxBlanks, Self.tags.contains(where: { $0.opening.starts(with: visible) }) {
                    // White space after a closed tag is dropped, whatever follows.
                    state = .beginning(dropsBlanks ? Array(visible) : text)
                    return ([], reasoningBytes)
                }
                state = .response
                return (dropsBlanks ? Array(visible) : text, reasoningBytes)
            case .reasoning(let closing, let tail):
                let text = tail + rest
                guard let end = Self.index(of: closing, in: text) else {
                    // The last bytes may be the beginning of the closing tag.
                    let tail = Array(text.suffix(closing.count - 1))
                    reasoningBytes += text.count - tail.count
                    state = .reasoning(closing: closing, tail: tail)
                    return ([], reasoningBytes)
                }
                reasoningBytes += end
                rest = Array(text[(end + closing.count)...])
                dropsBlanks = true
                // Some models open another tag immediately.
                state = .beginning([])
            }
        }
    }

    /// Ends the content.
    ///
    /// - Returns: the held-back text, which turned out to be part of the response
    package mutating func finish() -> [UInt8] {
        defer { state = .response }
        guard case .beginning(let held) = state else { return [] }
        return held
    }

    private static func index(of pattern: [UInt8], in text: [UInt8]) -> Int? {
        guard text.count >= pattern.count else { return nil }
        return (0...text.count - pattern.count).first { text[$0] == pattern[0] && text[$0...].starts(with: pattern) }
    }
}

/// Tells the reasoning of a model from its answer where the server sends both as one text: `<think>…</think>` at the beginning of the content.
///
/// Such tags come from models whose server has no reasoning parser. Further on in a text they are the answer's own.
package struct ReasoningTags: Sendable {
    private enum State: Sendable {
        /// The beginning, as long as it may still become a tag.
        case beginning([UInt8])
        /// Within a tag: the last bytes, in which the closing tag may have begun.
        case reasoning(closing: [UInt8], tail: [UInt8])
        case answer
    }

    private static let names = ["think", "thinking"]
    private static let tags = names.map { (opening: Array("<\($0)>".utf8), closing: Array("</\($0)>".utf8)) }
    /// Blanks in front of a tag that are waited for, in bytes.
    private static let mostBlanks = 64

    private var state = State.beginning([])
    /// A tag was closed: blanks between it and the answer belong to neither.
    private var dropsBlanks = false

    package init() {}

    /// - Parameter piece: the next piece of the content
    /// - Returns: what of it is the answer's, and how many bytes are reasoning.
    package mutating func take(_ piece: [UInt8]) -> (answer: [UInt8], reasoningBytes: Int) {
        var rest = piece
        var reasoningBytes = 0
        while true {
            switch state {
            case .answer: return (rest, reasoningBytes)
            case .beginning(let held):
                let text = held + rest
                let blanks = text.prefix { $0 <= 0x20 }.count
                let visible = text[blanks...]
                if let tag = Self.tags.first(where: { visible.starts(with: $0.opening) }) {
                    rest = Array(visible.dropFirst(tag.opening.count))
                    state = .reasoning(closing: tag.closing, tail: [])
                    continue
                }
                if blanks <= Self.mostBlanks, Self.tags.contains(where: { $0.opening.starts(with: visible) }) {
                    // Blanks behind a tag are dropped anyway.
                    state = .beginning(dropsBlanks ? Array(visible) : text)
                    return ([], reasoningBytes)
                }
                state = .answer
                return (dropsBlanks ? Array(visible) : text, reasoningBytes)
            case .reasoning(let closing, let tail):
                let text = tail + rest
                guard let end = Self.index(of: closing, in: text) else {
                    // The last bytes may be the beginning of the tag.
                    let tail = Array(text.suffix(closing.count - 1))
                    reasoningBytes += text.count - tail.count
                    state = .reasoning(closing: closing, tail: tail)
                    return ([], reasoningBytes)
                }
                reasoningBytes += end
                rest = Array(text[(end + closing.count)...])
                dropsBlanks = true
                // Some models think again at once.
                state = .beginning([])
            }
        }
    }

    /// The content has ended.
    ///
    /// - Returns: what was held back and turned out to be the answer's.
    package mutating func finish() -> [UInt8] {
        defer { state = .answer }
        guard case .beginning(let held) = state else { return [] }
        return held
    }

    private static func index(of pattern: [UInt8], in text: [UInt8]) -> Int? {
        guard text.count >= pattern.count else { return nil }
        return (0...text.count - pattern.count).first { text[$0] == pattern[0] && text[$0...].starts(with: pattern) }
    }
}

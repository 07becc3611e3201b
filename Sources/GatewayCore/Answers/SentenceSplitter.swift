/// Cuts a text that comes in pieces into sentences, so that the first can be spoken while the last is still being thought of.
package struct SentenceSplitter: Sendable {
    /// Shorter ones go along with the next: "Dr." and "1." are no sentences.
    package static let shortest = 16
    /// One that doesn't end is cut at a word.
    package static let longest = 400

    private var pending: [UInt8] = []

    package init() {}

    package var heldBytes: Int { pending.count }

    /// - Returns: the sentences that are complete now. Together with ``finish()`` they add up to the text.
    package mutating func take(_ text: [UInt8]) -> [[UInt8]] {
        pending += text
        var sentences: [[UInt8]] = []
        while let end = endOfSentence() {
            sentences.append(Array(pending[..<end]))
            pending.removeFirst(end)
        }
        return sentences
    }

    /// What is left at the end of the text; nil when that is nothing but white space.
    package mutating func finish() -> [UInt8]? {
        defer { pending = [] }
        return pending.contains { $0 > 0x20 } ? pending : nil
    }

    /// Behind the white space that follows a full stop.
    private func endOfSentence() -> Int? {
        var index = Self.shortest
        while index < pending.count {
            let byte = pending[index]
            if byte == 0x0A || (byte <= 0x20 && endsSentence(before: index)) || endsWideSentence(at: index) {
                var end = index + 1
                while end < pending.count, pending[end] <= 0x20 { end += 1 }
                return end
            }
            index += 1
        }
        guard pending.count >= Self.longest else { return nil }
        let space = pending[..<Self.longest].lastIndex { $0 <= 0x20 }
        // A word as long as that is cut at the border of a character.
        return space.map { $0 + 1 } ?? pending[..<Self.longest].lastIndex { $0 & 0xC0 != 0x80 }.flatMap { $0 > 0 ? $0 : nil }
    }

    private func endsSentence(before index: Int) -> Bool {
        var last = index - 1
        // Quotes and brackets close behind it.
        while last > 0, [0x22, 0x27, 0x29, 0x5D].contains(pending[last]) { last -= 1 }
        return [UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "?"), UInt8(ascii: ":"), UInt8(ascii: ";")].contains(pending[last])
    }

    /// 。 ！ ？ need no space behind them. `index` is that of the last byte.
    private func endsWideSentence(at index: Int) -> Bool {
        guard index >= 2 else { return false }
        let bytes = (pending[index - 2], pending[index - 1], pending[index])
        return bytes == (0xE3, 0x80, 0x82) || bytes == (0xEF, 0xBC, 0x81) || bytes == (0xEF, 0xBC, 0x9F)
    }
}

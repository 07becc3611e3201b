// SPDX-License-Identifier: Apache-2.0

/// Words of a UTF-8 text, separated by spaces, tabs and line feeds, the only white space that sanitizing keeps.
///
/// A piece is a word with its trailing white space, so that the pieces add up to the text.
enum Words {
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x09 }

    /// Counts words, up to `limit`.
    static func count(in text: [UInt8], upTo limit: Int) -> Int {
        var count = 0
        var isInside = false
        for byte in text {
            let space = isSpace(byte)
            if !space, !isInside {
                count += 1
                if count >= limit { break }
            }
            isInside = !space
        }
        return count
    }

    /// Returns the end of the piece that begins at `start`.
    static func end(after start: Int, in text: [UInt8]) -> Int {
        var index = start
        while index < text.count, isSpace(text[index]) { index += 1 }
        while index < text.count, !isSpace(text[index]) { index += 1 }
        while index < text.count, isSpace(text[index]) { index += 1 }
        return index
    }
}

/// Words of a UTF-8 text, parted by spaces, tabs and line feeds, the white space that sanitizing leaves. A piece is a word with the white space behind it, so pieces add up to the text.
enum Words {
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x09 }

    /// Counts at most `limit`.
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

    /// Where the piece that begins at `start` ends.
    static func end(after start: Int, in text: [UInt8]) -> Int {
        var index = start
        while index < text.count, isSpace(text[index]) { index += 1 }
        while index < text.count, !isSpace(text[index]) { index += 1 }
        while index < text.count, isSpace(text[index]) { index += 1 }
        return index
    }
}

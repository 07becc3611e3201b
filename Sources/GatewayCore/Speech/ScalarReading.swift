// SPDX-License-Identifier: Apache-2.0

extension [UInt8] {
    /// Returns the scalar that begins at `index` and its size in bytes; nil at the end and for an incomplete scalar.
    ///
    /// An invalid byte is decoded as U+FFFD.
    func scalar(at index: Int) -> (scalar: Unicode.Scalar, count: Int)? {
        guard index >= 0, index < count else { return nil }
        let first = self[index]
        if first < 0x80 { return (Unicode.Scalar(first), 1) }
        let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        guard (0xC2...0xF4).contains(first) else { return ("\u{FFFD}", 1) }
        guard index + length <= count else { return nil }
        var value = UInt32(first) & (0x7F >> UInt32(length))
        for byte in self[index + 1..<index + length] {
            guard byte & 0xC0 == 0x80 else { return ("\u{FFFD}", 1) }
            value = value << 6 | UInt32(byte & 0x3F)
        }
        return Unicode.Scalar(value).map { ($0, length) } ?? ("\u{FFFD}", 1)
    }

    /// Returns the scalar that ends before `index` and its start; nil at or before `start`.
    func scalar(before index: Int, from start: Int = 0) -> (scalar: Unicode.Scalar, index: Int)? {
        var begin = index - 1
        guard begin >= start, index <= count else { return nil }
        while begin > start, index - begin < 4, self[begin] & 0xC0 == 0x80 { begin -= 1 }
        if let (scalar, length) = scalar(at: begin), begin + length == index { return (scalar, begin) }
        return ("\u{FFFD}", index - 1)
    }

    /// Whether the text contains a letter or a digit of any script, so that it can be spoken.
    var hasWords: Bool {
        var index = 0
        while index < count {
            let (scalar, length) = scalar(at: index) ?? ("\u{FFFD}", 1)
            if scalar.isWordPart { return true }
            index += length
        }
        return false
    }
}

extension Unicode.Scalar {
    /// Whether the scalar is a letter or a digit of any script.
    var isWordPart: Bool {
        if isASCII { return ("a"..."z").contains(self) || ("A"..."Z").contains(self) || ("0"..."9").contains(self) }
        return properties.isAlphabetic || properties.numericType != nil
    }

    var isSpace: Bool { self == " " || properties.isWhitespace }
}

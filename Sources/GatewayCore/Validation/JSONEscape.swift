// SPDX-License-Identifier: Apache-2.0

/// An escape sequence of a JSON string (RFC 8259 §7); a surrogate pair counts as one.
struct JSONEscape {
    /// The unescaped scalar; U+FFFD for a lone surrogate.
    let scalar: UInt32
    /// The size of the escape in bytes: 2, 6 or 12.
    let rawCount: Int
    let isLoneSurrogate: Bool

    /// Parses the escape whose backslash is at `offset`.
    init(in bytes: RawSpan, at offset: Int) throws(JSONSyntaxError) {
        guard bytes.byteCount &- offset >= 2 else { throw JSONSyntaxError(.unexpectedEnd, at: bytes.byteCount) }
        let letter = bytes.byte(at: offset &+ 1)
        let simple: UInt32
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): simple = UInt32(letter)
        case UInt8(ascii: "b"): simple = 0x08
        case UInt8(ascii: "f"): simple = 0x0C
        case UInt8(ascii: "n"): simple = 0x0A
        case UInt8(ascii: "r"): simple = 0x0D
        case UInt8(ascii: "t"): simple = 0x09
        case UInt8(ascii: "u"):
            try self.init(unicodeIn: bytes, at: offset)
            return
        default: throw JSONSyntaxError(.badEscape, at: offset)
        }
        self.init(scalar: simple, rawCount: 2, isLoneSurrogate: false)
    }

    private init(scalar: UInt32, rawCount: Int, isLoneSurrogate: Bool) {
        self.scalar = scalar
        self.rawCount = rawCount
        self.isLoneSurrogate = isLoneSurrogate
    }

    private init(unicodeIn bytes: RawSpan, at offset: Int) throws(JSONSyntaxError) {
        guard let unit = Self.unit(in: bytes, at: offset) else { throw JSONSyntaxError(.badEscape, at: offset) }
        switch unit {
        case 0xD800..<0xDC00:
            // The next escape is only peeked at: unless it is a low surrogate, it is parsed and checked separately.
            if let low = Self.unit(in: bytes, at: offset &+ 6), low >= 0xDC00, low < 0xE000 {
                self.init(scalar: 0x1_0000 &+ (unit &- 0xD800) &<< 10 &+ (low &- 0xDC00), rawCount: 12, isLoneSurrogate: false)
            } else {
                self.init(scalar: 0xFFFD, rawCount: 6, isLoneSurrogate: true)
            }
        case 0xDC00..<0xE000: self.init(scalar: 0xFFFD, rawCount: 6, isLoneSurrogate: true)
        default: self.init(scalar: unit, rawCount: 6, isLoneSurrogate: false)
        }
    }

    /// The value of `\uXXXX` at `offset`; nil if there is no such escape.
    static func unit(in bytes: RawSpan, at offset: Int) -> UInt32? {
        guard bytes.byteCount &- offset >= 6, bytes.byte(at: offset) == UInt8(ascii: "\\"),
            bytes.byte(at: offset &+ 1) == UInt8(ascii: "u")
        else { return nil }
        var unit: UInt32 = 0
        for index in 2..<6 {
            let digit: UInt8
            switch bytes.byte(at: offset &+ index) {
            case let byte where byte &- 0x30 < 10: digit = byte &- 0x30
            case let byte where (byte | 0x20) &- 0x61 < 6: digit = (byte | 0x20) &- 0x61 &+ 10
            default: return nil
            }
            unit = unit &<< 4 | UInt32(digit)
        }
        return unit
    }
}

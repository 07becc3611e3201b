// SPDX-License-Identifier: Apache-2.0

/// Escapes untrusted text for output on one line.
///
/// Characters that could end the line, move the cursor, hide or reorder text (C0, DEL, C1 with the 8-bit CSI, U+2028 and U+2029, the
/// bidirectional controls, zero-width and tag characters) are written as `\n` or `\uXXXX`. These are JSON escapes, so a JSON parser
/// restores the exact string, and a terminal shows the escapes without interpreting them.
package enum SafeText {
    /// The maximum UTF-8 bytes of one value in a line; a longer value is truncated and marked.
    package static let maximumValueBytes = 1024

    /// Appends `text`, escaped, without surrounding quotes.
    ///
    /// - Parameters:
    ///   - quoted: whether the text is inside quotation marks, so that `"` and `\` must be escaped, too.
    ///   - limit: the maximum bytes of `text`; longer text is truncated at the start of a character (RFC 3629) and marked with `…(+n
    ///     bytes)`.
    package static func append(_ text: String, to bytes: inout [UInt8], quoted: Bool = true, limit: Int = maximumValueBytes) {
        let utf8 = text.utf8Span.span
        var end = utf8.count
        if end <= limit, isHarmless(utf8) {
            bytes.append(contentsOf: text.utf8)
            return
        }
        if end > limit {
            end = max(0, limit)
            while end > 0, utf8[end] & 0xC0 == 0x80 { end -= 1 }
        }
        var index = 0
        while index < end {
            let byte = utf8[index]
            if byte < 0x80 {
                appendASCII(byte, to: &bytes, quoted: quoted)
                index += 1
                continue
            }
            let length = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
            guard end - index >= length else { break }
            var scalar = UInt32(byte) & (0x7F >> UInt32(length))
            for offset in 1..<length { scalar = scalar << 6 | UInt32(utf8[index + offset] & 0x3F) }
            if isUnsafe(scalar) {
                appendEscape(scalar, to: &bytes)
            } else {
                for offset in 0..<length { bytes.append(utf8[index + offset]) }
            }
            index += length
        }
        if end < utf8.count {
            bytes.append(contentsOf: "…(+\(utf8.count - end) bytes)".utf8)
        }
    }

    /// Whether a text is printable ASCII without quotes and backslashes, as nearly all text in a log, and can be copied in one piece.
    private static func isHarmless(_ utf8: Span<UInt8>) -> Bool {
        for index in utf8.indices {
            let byte = utf8[index]
            guard byte &- 0x20 < 0x5F, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { return false }
        }
        return true
    }

    /// Whether a text can be the value of a `key=value` pair without quotes.
    package static func isPlain(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "/"), UInt8(ascii: "@"), UInt8(ascii: "+"),
                    UInt8(ascii: "-"), UInt8(ascii: "["), UInt8(ascii: "]"):
                    true
                default: false
                }
            }
    }

    private static func appendASCII(_ byte: UInt8, to bytes: inout [UInt8], quoted: Bool) {
        switch byte {
        case 0x0A: bytes.append(contentsOf: "\\n".utf8)
        case 0x0D: bytes.append(contentsOf: "\\r".utf8)
        case 0x09: bytes.append(contentsOf: "\\t".utf8)
        case 0..<0x20, 0x7F: appendEscape(UInt32(byte), to: &bytes)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            if quoted { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        default: bytes.append(byte)
        }
    }

    /// Whether a character beyond ASCII affects the surrounding text or is invisible.
    private static func isUnsafe(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x80...0x9F, 0x061C, 0x200B, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB, 0xE0000...0xE007F: true
        default: false
        }
    }

    /// Appends `\uXXXX`, as a surrogate pair beyond U+FFFF (RFC 8259 §7).
    private static func appendEscape(_ scalar: UInt32, to bytes: inout [UInt8]) {
        if scalar > 0xFFFF {
            appendUnit(0xD800 | (scalar - 0x10000) >> 10, to: &bytes)
            appendUnit(0xDC00 | (scalar - 0x10000) & 0x3FF, to: &bytes)
        } else {
            appendUnit(scalar, to: &bytes)
        }
    }

    private static func appendUnit(_ unit: UInt32, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(UInt8(ascii: "u"))
        for shift: UInt32 in [12, 8, 4, 0] {
            let digit = UInt8(truncatingIfNeeded: unit >> shift & 0xF)
            bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }
}

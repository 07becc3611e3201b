/// Writes text as the inside of a JSON string (RFC 8259 §7).
package enum JSONText {
    /// Appends valid UTF-8 with quotes, backslashes and C0 controls escaped, and without the quotes around it.
    package static func appendEscaped(_ text: RawSpan, to bytes: inout [UInt8]) {
        var start = 0
        while start < text.byteCount {
            let stop = endOfPlainText(in: text, from: start)
            bytes.append(bytesOf: text.extracting(start..<stop))
            guard stop < text.byteCount else { return }
            appendEscaped(text.byte(at: stop), to: &bytes)
            start = stop &+ 1
        }
    }

    /// As above, for who holds a span of bytes.
    package static func appendEscaped(_ text: Span<UInt8>, to bytes: inout [UInt8]) {
        // `UInt8` has no padding that could be read.
        appendEscaped(unsafe text.bytes, to: &bytes)
    }

    /// Appends one ASCII character.
    static func appendEscaped(_ character: UInt8, to bytes: inout [UInt8]) {
        switch character {
        case UInt8(ascii: "\""): bytes.append(#"\""#)
        case UInt8(ascii: "\\"): bytes.append(#"\\"#)
        case 0x08: bytes.append(#"\b"#)
        case 0x09: bytes.append(#"\t"#)
        case 0x0A: bytes.append(#"\n"#)
        case 0x0C: bytes.append(#"\f"#)
        case 0x0D: bytes.append(#"\r"#)
        case 0..<0x20:
            bytes.append(#"\u00"#)
            bytes.append(0x30 &+ character &>> 4)
            let digit = character & 0xF
            bytes.append(digit < 10 ? 0x30 &+ digit : 0x57 &+ digit)
        default: bytes.append(character)
        }
    }

    @inline(__always)
    private static func endOfPlainText(in text: RawSpan, from start: Int) -> Int {
        var offset = start
        let end = text.byteCount
        while end &- offset >= 16 {
            let block = text.block(at: offset)
            let found = BlockMask(
                block.equal(to: UInt8(ascii: "\"")) .| block.equal(to: UInt8(ascii: "\\")) .| block.below(0x20))
            if !found.isEmpty { return offset &+ found.first }
            offset &+= 16
        }
        while offset < end {
            switch text.byte(at: offset) {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x00..<0x20: return offset
            default: offset &+= 1
            }
        }
        return end
    }
}

// SPDX-License-Identifier: Apache-2.0

extension JSONReader {
    /// Reads the rest of a string after its opening quote (RFC 8259 §7), and computes its size after unescaping and sanitizing.
    ///
    /// Sanitizing (protocol page, section "Messages") removes C0 controls except TAB and LF, DEL, and C1 controls (U+0080–U+009F).
    @inline(__always)
    mutating func string(in bytes: RawSpan) throws(JSONSyntaxError) -> JSONValue {
        let start = position
        position = Self.endOfPlainText(in: bytes, from: start)
        if position < bytes.byteCount, bytes.byte(at: position) == UInt8(ascii: "\"") {
            position &+= 1
            return JSONValue(.string, start: start, end: position &- 1, count: position &- 1 &- start)
        }
        return try restOfString(in: bytes, start: start)
    }

    /// Reads the rest of a string that begins at `start`, from the first byte that may need unescaping or sanitizing.
    private mutating func restOfString(in bytes: RawSpan, start: Int) throws(JSONSyntaxError) -> JSONValue {
        // Bytes that unescaping and sanitizing remove.
        var removed = 0
        var hasLoneSurrogate = false
        while true {
            switch try current(in: bytes) {
            case UInt8(ascii: "\""):
                position &+= 1
                let end = position &- 1
                return JSONValue(
                    .string, start: start, end: end, count: end &- start &- removed, hasLoneSurrogate: hasLoneSurrogate)
            case UInt8(ascii: "\\"):
                let escape = try JSONEscape(in: bytes, at: position)
                position &+= escape.rawCount
                removed &+= escape.rawCount &- Sanitizing.count(of: escape.scalar)
                if escape.isLoneSurrogate { hasLoneSurrogate = true }
            case 0x00..<0x20:
                throw JSONSyntaxError(.controlCharacter, at: position)
            case 0x7F:
                position &+= 1
                removed &+= 1
            case Sanitizing.c1LeadByte:
                let isControl = bytes.byteCount &- position >= 2 && bytes.byte(at: position &+ 1) < 0xA0
                if isControl { removed &+= 2 }
                position = min(position &+ 2, bytes.byteCount)
            default: break
            }
            position = Self.endOfPlainText(in: bytes, from: position)
        }
    }

    /// Returns the end of the plain text at `start`: the offset of the next quote, backslash, control, DEL or possible lead byte of a C1
    /// control, or the end of the span.
    @inline(__always)
    private static func endOfPlainText(in bytes: RawSpan, from start: Int) -> Int {
        var offset = start
        let end = bytes.byteCount
        while end &- offset >= 16 {
            let found = BlockMask(Self.special(bytes.block(at: offset)))
            if !found.isEmpty { return offset &+ found.first }
            offset &+= 16
            // Long texts: one branch for four blocks.
            while end &- offset >= 64 {
                let first = Self.special(bytes.block(at: offset)) .| Self.special(bytes.block(at: offset &+ 16))
                let second = Self.special(bytes.block(at: offset &+ 32)) .| Self.special(bytes.block(at: offset &+ 48))
                guard BlockMask(first .| second).isEmpty else { break }
                offset &+= 64
            }
        }
        // The last bytes, in a block that overlaps the previous one.
        if end >= 16 {
            guard offset < end else { return end }
            let start = end &- 16
            return start &+ BlockMask(Self.special(bytes.block(at: start))).first(from: offset &- start)
        }
        while offset < end {
            switch bytes.byte(at: offset) {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x00..<0x20, 0x7F, Sanitizing.c1LeadByte: return offset
            default: offset &+= 1
            }
        }
        return end
    }

    /// The bytes of `block` that end plain text.
    @inline(__always)
    private static func special(_ block: ByteBlock) -> ByteLanes {
        block.equal(to: UInt8(ascii: "\"")) .| block.equal(to: UInt8(ascii: "\\")) .| block.below(0x20) .| block.equal(to: 0x7F)
            .| block.equal(to: Sanitizing.c1LeadByte)
    }
}

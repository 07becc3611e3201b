// SPDX-License-Identifier: Apache-2.0

/// Strings. Quotes, backslashes and C0 controls are escaped (RFC 8259 §7).
extension JSONWriter {
    /// Writes valid UTF-8 between quotes.
    mutating func string(_ text: RawSpan) {
        put(UInt8(ascii: "\""))
        escaped(text)
        put(UInt8(ascii: "\""))
    }

    /// Writes valid UTF-8 without quotes, copying up to 16 bytes at a time until the next byte to escape.
    mutating func escaped(_ text: RawSpan) {
        let size = text.byteCount
        var offset = 0
        while size &- offset >= ByteBlock.scalarCount {
            let block = text.block(at: offset)
            let found = Self.special(in: block)
            // A predictable branch: the CPU continues with the next block before it knows how much of this one was written.
            if found.isEmpty {
                put(block, ByteBlock.scalarCount)
                offset &+= ByteBlock.scalarCount
                continue
            }
            put(block, found.first)
            offset &+= found.first
            put(escaping: text.byte(at: offset))
            offset &+= 1
        }
        guard offset < size else { return }
        if size >= ByteBlock.scalarCount {
            let block = text.block(at: size &- ByteBlock.scalarCount)
            if Self.special(in: block).isEmpty { return put(last: size &- offset, of: block) }
        } else if size >= MemoryLayout<UInt64>.size, putVerbatim(text) {
            return
        }
        while offset < size {
            put(escaping: text.byte(at: offset))
            offset &+= 1
        }
    }

    @inline(__always)
    private static func special(in block: ByteBlock) -> BlockMask {
        BlockMask(block.equal(to: UInt8(ascii: "\"")) .| block.equal(to: UInt8(ascii: "\\")) .| block.below(0x20))
    }

    /// Writes the first `size` bytes of a block.
    @inline(__always)
    private mutating func put(_ block: ByteBlock, _ size: Int) {
        if let target = unsafe room(for: ByteBlock.scalarCount) {
            unsafe target.storeBytes(of: block, as: ByteBlock.self)
            _ = unsafe advance(by: size)
        } else if let target = unsafe advance(by: size) {
            for index in 0..<size { unsafe target.storeBytes(of: block[index], toByteOffset: index, as: UInt8.self) }
        }
    }

    /// Writes the last `size` bytes of a block with one store, which overwrites the preceding bytes with the same values.
    @inline(__always)
    private mutating func put(last size: Int, of block: ByteBlock) {
        guard let target = unsafe advance(by: size) else { return }
        unsafe (target + (size &- ByteBlock.scalarCount)).storeBytes(of: block, as: ByteBlock.self)
    }

    /// Writes 8 to 15 bytes and returns true if none has to be escaped; otherwise writes nothing and returns false.
    private mutating func putVerbatim(_ text: RawSpan) -> Bool {
        let last = text.byteCount &- MemoryLayout<UInt64>.size
        let words = (text.word(at: 0), text.word(at: last))
        guard !Self.isSpecial(words.0), !Self.isSpecial(words.1) else { return false }
        guard let target = unsafe advance(by: text.byteCount) else { return true }
        unsafe target.storeBytes(of: words.0.littleEndian, as: UInt64.self)
        unsafe target.storeBytes(of: words.1.littleEndian, toByteOffset: last, as: UInt64.self)
        return true
    }

    /// Returns whether any of eight bytes has to be escaped.
    @inline(__always)
    private static func isSpecial(_ word: UInt64) -> Bool {
        // Subtracting `n` from a smaller byte borrows, which sets the highest bit; bytes that already have it are masked out.
        func hasByte(below n: UInt64, _ word: UInt64) -> UInt64 { (word &- 0x0101_0101_0101_0101 &* n) & ~word & 0x8080_8080_8080_8080 }
        let quote = hasByte(below: 1, word ^ 0x2222_2222_2222_2222)
        let backslash = hasByte(below: 1, word ^ 0x5C5C_5C5C_5C5C_5C5C)
        return hasByte(below: 0x20, word) | quote | backslash != 0
    }

    @inline(__always)
    private mutating func put(escaping byte: UInt8) {
        let (bytes, size) = Self.escape(byte)
        if let target = unsafe room(for: MemoryLayout<UInt64>.size) {
            unsafe target.storeBytes(of: bytes.littleEndian, as: UInt64.self)
            _ = unsafe advance(by: size)
        } else if let target = unsafe advance(by: size) {
            for index in 0..<size {
                unsafe target.storeBytes(of: UInt8(truncatingIfNeeded: bytes &>> (8 &* index)), toByteOffset: index, as: UInt8.self)
            }
        }
    }

    /// Returns the escaped form of a byte, the first character in the lowest bits, and its length.
    @inline(__always)
    private static func escape(_ byte: UInt8) -> (UInt64, Int) {
        func short(_ letter: Unicode.Scalar) -> (UInt64, Int) { (UInt64(letter.value) &<< 8 | 0x5C, 2) }
        switch byte {
        case 0x22: return short("\"")
        case 0x5C: return short("\\")
        case 0x08: return short("b")
        case 0x09: return short("t")
        case 0x0A: return short("n")
        case 0x0C: return short("f")
        case 0x0D: return short("r")
        case 0..<0x20:
            let digit = UInt64(byte & 0xF)
            let last = digit < 10 ? 0x30 &+ digit : 0x57 &+ digit
            // `\u00`, then two digits.
            return (last &<< 40 | (0x30 &+ UInt64(byte &>> 4)) &<< 32 | 0x3030_755C, 6)
        default: return (UInt64(byte), 1)
        }
    }
}

/// Writes text as the inside of a JSON string (RFC 8259 §7).
package enum JSONText {
    /// The longest escape, `\u001f`.
    private static let longestEscape = 6
    /// So many bytes at a time: even were all of them controls, the array grows little beyond what it needs.
    private static let stride = 1024

    /// Appends valid UTF-8 with quotes, backslashes and C0 controls escaped, and without the quotes around it.
    package static func appendEscaped(_ text: RawSpan, to bytes: inout [UInt8]) {
        var start = 0
        while start < text.byteCount {
            let end = min(text.byteCount, start &+ stride)
            let capacity = longestEscape &* (end &- start) &+ ByteBlock.scalarCount
            bytes.append(addingCapacity: capacity) { output in
                // The closure says how many bytes it has written.
                unsafe output.withUnsafeMutableBufferPointer { target, written in
                    written = unsafe escape(text, from: start, to: end, into: target)
                }
            }
            start = end
        }
    }

    /// As above, for who holds a span of bytes.
    package static func appendEscaped(_ text: Span<UInt8>, to bytes: inout [UInt8]) {
        // `UInt8` has no padding that could be read.
        appendEscaped(unsafe text.bytes, to: &bytes)
    }

    /// Copies blocks as they are, and goes back to where one has something to escape.
    private static func escape(
        _ text: RawSpan, from start: Int, to end: Int, into target: UnsafeMutableBufferPointer<UInt8>
    ) -> Int {
        guard let base = UnsafeMutableRawPointer(target.baseAddress) else { return 0 }
        // Each step writes a block at most.
        let room = target.count &- ByteBlock.scalarCount
        var offset = start
        var count = 0
        while offset < end, count <= room {
            if end &- offset >= ByteBlock.scalarCount {
                let block = text.block(at: offset)
                unsafe (base + count).storeBytes(of: block, as: ByteBlock.self)
                let found = BlockMask(
                    block.equal(to: UInt8(ascii: "\"")) .| block.equal(to: UInt8(ascii: "\\")) .| block.below(0x20))
                // A branch that is foreseen: the next block needn't wait until it is known how far this one went.
                if found.isEmpty {
                    offset &+= ByteBlock.scalarCount
                    count &+= ByteBlock.scalarCount
                    continue
                }
                offset &+= found.first
                count &+= found.first
            }
            let (bytes, size) = escape(text.byte(at: offset))
            unsafe (base + count).storeBytes(of: bytes.littleEndian, as: UInt64.self)
            count &+= size
            offset &+= 1
        }
        return count
    }

    /// How one byte is written: its characters from the lowest bits on, and how many they are.
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

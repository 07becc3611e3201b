/// A DEFLATE stream (RFC 1951) that is a thousandth of what it inflates to.
package enum DeflateBomb {
    /// Inflates to at least `count` spaces: one literal, then matches of 258 bytes at distance 1, in fixed codes; ends as permessage-deflate
    /// demands (RFC 7692 §7.2.1), without the last four bytes of the empty block.
    package static func bytes(count: Int) -> [UInt8] {
        var bits = BitWriter()
        // Not the last block, fixed codes.
        bits.write(0, 1)
        bits.write(1, 2)
        // A space is literal 32: code 0x30 + 32 in 8 bits, the highest first.
        bits.writeCode(0x30 + 32, 8)
        for _ in 0..<(count / 258 + 1) {
            // Length 258 is symbol 285: code 0xC0 + 285 - 280 in 8 bits. Distance 1 is code 0 in 5 bits.
            bits.writeCode(0xC0 + 5, 8)
            bits.writeCode(0, 5)
        }
        // End of block, then an empty stored block up to its padding.
        bits.writeCode(0, 7)
        bits.write(0, 3)
        return bits.finished()
    }

    private struct BitWriter {
        private var bytes: [UInt8] = []
        private var current: UInt8 = 0
        private var filled = 0

        /// The lowest bit first, as RFC 1951 §3.1.1 has all but Huffman codes.
        mutating func write(_ value: Int, _ count: Int) {
            for index in 0..<count { put(value >> index & 1) }
        }

        mutating func writeCode(_ value: Int, _ count: Int) {
            for index in (0..<count).reversed() { put(value >> index & 1) }
        }

        private mutating func put(_ bit: Int) {
            current |= UInt8(bit) << UInt8(filled)
            filled += 1
            if filled == 8 {
                bytes.append(current)
                (current, filled) = (0, 0)
            }
        }

        func finished() -> [UInt8] { filled > 0 ? bytes + [current] : bytes }
    }
}

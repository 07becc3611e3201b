// SPDX-License-Identifier: Apache-2.0

/// A DEFLATE stream (RFC 1951) that inflates to about a thousand times its size.
package enum DeflateBomb {
    /// Returns a stream that inflates to at least `count` spaces: a literal and matches of 258 bytes at distance 1, in fixed codes. The
    /// last four bytes of the empty stored block at the end are removed, as permessage-deflate requires (RFC 7692 §7.2.1).
    package static func bytes(count: Int) -> [UInt8] {
        var bits = BitWriter()
        // BFINAL 0, BTYPE 01 (fixed codes).
        bits.write(0, 1)
        bits.write(1, 2)
        // A space is literal 32: code 0x30 + 32 in 8 bits, most significant bit first.
        bits.writeCode(0x30 + 32, 8)
        for _ in 0..<(count / 258 + 1) {
            // Length 258 is symbol 285: code 0xC0 + 285 - 280 in 8 bits. Distance 1 is code 0 in 5 bits.
            bits.writeCode(0xC0 + 5, 8)
            bits.writeCode(0, 5)
        }
        // End of block, then the header of an empty stored block, padded to a byte.
        bits.writeCode(0, 7)
        bits.write(0, 3)
        return bits.finished()
    }

    private struct BitWriter {
        private var bytes: [UInt8] = []
        private var current: UInt8 = 0
        private var bitCount = 0

        /// Writes the least significant bit first, as for everything but Huffman codes (RFC 1951 §3.1.1).
        mutating func write(_ value: Int, _ count: Int) {
            for index in 0..<count { append(value >> index & 1) }
        }

        /// Writes a Huffman code, most significant bit first.
        mutating func writeCode(_ value: Int, _ count: Int) {
            for index in (0..<count).reversed() { append(value >> index & 1) }
        }

        private mutating func append(_ bit: Int) {
            current |= UInt8(bit) << UInt8(bitCount)
            bitCount += 1
            if bitCount == 8 {
                bytes.append(current)
                (current, bitCount) = (0, 0)
            }
        }

        func finished() -> [UInt8] { bitCount > 0 ? bytes + [current] : bytes }
    }
}

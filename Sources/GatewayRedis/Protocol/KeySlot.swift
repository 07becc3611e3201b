// SPDX-License-Identifier: Apache-2.0

/// The hash slots of Redis Cluster: CRC-16/XMODEM of the key, or of the part between its first `{` and the next `}`, modulo 16384.
package enum KeySlot {
    package static let count = 16384

    /// Returns the slot of a key, 0–16383.
    package static func slot(of key: some RandomAccessCollection<UInt8>) -> Int {
        if let open = key.firstIndex(of: UInt8(ascii: "{")) {
            let rest = key[key.index(after: open)...]
            // An empty tag doesn't count.
            if let close = rest.firstIndex(of: UInt8(ascii: "}")), close > rest.startIndex {
                return Int(checksum(rest[..<close])) % count
            }
        }
        return Int(checksum(key)) % count
    }

    /// CRC-16 with the polynomial 0x1021 and the initial value 0.
    private static func checksum(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var sum: UInt16 = 0
        for byte in bytes { sum = sum << 8 ^ table[Int(UInt8(truncatingIfNeeded: sum >> 8) ^ byte)] }
        return sum
    }

    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { sum, _ in sum & 0x8000 != 0 ? sum << 1 ^ 0x1021 : sum << 1 }
    }
}

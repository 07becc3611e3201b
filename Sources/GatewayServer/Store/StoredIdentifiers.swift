// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import GatewayCore

/// The stored form of ids and hashes: big-endian, so that bytes compare in the order of the ids.
extension ULID {
    var stored: Data { Data(words: [high, low]) }

    init?(stored bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var (high, low): (UInt64, UInt64) = (0, 0)
        for byte in bytes { (high, low) = (high << 8 | low >> 56, low << 8 | UInt64(byte)) }
        self.init(high: high, low: low)
    }
}

extension TokenHash {
    var stored: Data { Data(words: values) }

    init?(stored: Data) {
        guard stored.count == 32 else { return nil }
        let words = stored.withUnsafeBytes { bytes in
            (0..<4).map { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) }
        }
        self.init(words[0], words[1], words[2], words[3])
    }
}

extension Data {
    fileprivate init(words: [UInt64]) {
        self.init()
        for word in words { Swift.withUnsafeBytes(of: word.bigEndian) { append(contentsOf: $0) } }
    }
}

extension Row {
    /// Returns a column's blob; empty when the column contains a value of another type, which SQLite permits whatever the declaration.
    func data(at index: Int) -> Data { Data.fromDatabaseValue(self[index]) ?? Data() }

    /// Returns a column's text; nil when the column contains a value of another type.
    func text(at index: Int) -> String? { String.fromDatabaseValue(self[index]) }

    /// Returns a column's integer; nil when the column contains a value of another type.
    func integer(at index: Int) -> Int64? { Int64.fromDatabaseValue(self[index]) }
}

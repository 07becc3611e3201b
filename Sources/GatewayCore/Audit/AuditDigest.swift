// SPDX-License-Identifier: Apache-2.0

/// A SHA-256 digest as audit records contain it: 64 lowercase hexadecimal digits.
package struct AuditDigest: Sendable, Hashable, CustomStringConvertible {
    package static let digitCount = 64
    /// The digest that the first record of a chain names as its predecessor's.
    package static let zero = AuditDigest(unchecked: Array(repeating: UInt8(ascii: "0"), count: digitCount))

    package let digits: [UInt8]

    private init(unchecked digits: [UInt8]) { self.digits = digits }

    /// Creates a digest from its text; nil unless that is 64 lowercase hexadecimal digits.
    package init?(digits: some Collection<UInt8>) {
        guard digits.count == Self.digitCount, digits.allSatisfy({ Self.isDigit($0) }) else { return nil }
        self.digits = Array(digits)
    }

    /// Creates a digest from its 32 bytes.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count * 2 == Self.digitCount else { return nil }
        digits = bytes.flatMap { [Self.digit($0 >> 4), Self.digit($0 & 0xF)] }
    }

    package var description: String { String(decoding: digits, as: UTF8.self) }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value }
}

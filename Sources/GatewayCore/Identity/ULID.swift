// SPDX-License-Identifier: Apache-2.0

/// A ULID: 48 bits of Unix milliseconds and 80 random bits, written as 26 characters of Crockford's base 32.
///
/// Correlation, connection and session ids are ULIDs: they sort by time and need no coordination. They are not secrets.
package struct ULID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Parses 26 characters, in upper or lower case; returns nil if they aren't a ULID.
    package init?(_ text: String) {
        let characters = Array(text.utf8)
        guard characters.count == 26, let first = Self.value(characters[0]), first < 8 else { return nil }
        var (high, low): (UInt64, UInt64) = (0, 0)
        for character in characters {
            guard let value = Self.value(character) else { return nil }
            high = high << 5 | low >> 59
            low = low << 5 | UInt64(value)
        }
        self.init(high: high, low: low)
    }

    package init(unixMilliseconds: Int64, using generator: inout some RandomNumberGenerator) {
        let time = UInt64(truncatingIfNeeded: unixMilliseconds) & 0xFFFF_FFFF_FFFF
        self.high = time << 16 | (generator.next() & 0xFFFF)
        self.low = generator.next()
    }

    package static func < (left: Self, right: Self) -> Bool { (left.high, left.low) < (right.high, right.low) }

    /// The 26 characters.
    var text: InlineArray<26, UInt8> {
        var text = InlineArray<26, UInt8>(repeating: 0)
        var (high, low) = (high, low)
        // Five bits per character, from the last to the first.
        for index in (0..<26).reversed() {
            text[index] = Self.digit(UInt8(truncatingIfNeeded: low & 31))
            low = low >> 5 | high << 59
            high >>= 5
        }
        return text
    }

    /// Appends the 26 characters.
    package func append(to bytes: inout [UInt8]) {
        let text = text
        // `UInt8` has no padding that could be read.
        unsafe bytes.append(bytesOf: text.span.bytes)
    }

    package var description: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(26)
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func value(_ character: UInt8) -> UInt8? {
        let upper = 0x61...0x7A ~= character ? character - 0x20 : character
        return (0..<32).first { digit($0) == upper }
    }

    /// `0123456789ABCDEFGHJKMNPQRSTVWXYZ`: no I, L, O, U.
    private static func digit(_ value: UInt8) -> UInt8 {
        switch value {
        case 0..<10: 0x30 + value
        case 10..<18: 0x41 + (value - 10)
        case 18..<20: 0x4A + (value - 18)
        case 20..<22: 0x4D + (value - 20)
        case 22..<27: 0x50 + (value - 22)
        default: 0x56 + (value - 27)
        }
    }
}

extension [UInt8] {
    /// Appends a ULID in quotes; it never needs escaping.
    package mutating func append(quoted id: ULID) {
        append(0x22)
        id.append(to: &self)
        append(0x22)
    }
}

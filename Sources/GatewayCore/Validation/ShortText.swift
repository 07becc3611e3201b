// SPDX-License-Identifier: Apache-2.0

/// A text of up to 15 bytes in two words, so that names are compared without a string or a loop.
///
/// Literals can be matched: `switch text { case "type": … }` compiles to one comparison per case.
struct ShortText: Equatable {
    static let maximumCount = 15

    private let low: UInt64
    /// Bytes 8 to 14, and the count in the highest byte, so that names that differ only in trailing zeros aren't equal.
    private let high: UInt64

    /// Nil when the text is longer than 15 bytes.
    @inline(__always)
    init?(_ bytes: RawSpan, start: Int, count: Int) {
        guard count <= Self.maximumCount else { return nil }
        var low: UInt64 = 0
        var high: UInt64 = 0
        if count >= 8 {
            low = bytes.word(at: start)
            // The last eight bytes, without those that are in `low`.
            if count > 8 { high = bytes.word(at: start &+ count &- 8) &>> UInt64(truncatingIfNeeded: (16 &- count) &* 8) }
        } else if bytes.byteCount &- start >= 8 {
            low = bytes.word(at: start) & ((1 &<< UInt64(truncatingIfNeeded: count &* 8)) &- 1)
        } else if count > 0, start &+ count >= 8 {
            // At the end of the span, the word begins before the text.
            low = bytes.word(at: start &+ count &- 8) &>> UInt64(truncatingIfNeeded: (8 &- count) &* 8)
        } else {
            for index in 0..<count {
                let byte = UInt64(bytes.byte(at: start &+ index))
                if index < 8 { low |= byte &<< UInt64(index &* 8) } else { high |= byte &<< UInt64((index &- 8) &* 8) }
            }
        }
        self.low = low
        self.high = high | UInt64(truncatingIfNeeded: count) &<< 56
    }

    /// Creates a text from a literal of at most 15 bytes. Release builds fold the literal to two constants.
    @inline(__always)
    private init(literal: StaticString) {
        var low: UInt64 = 0
        var high: UInt64 = 0
        let count = literal.utf8CodeUnitCount
        var index = 0
        while index < count, index < Self.maximumCount {
            // Within the literal's count; literals live as long as the process.
            let byte = UInt64(unsafe literal.utf8Start[index])
            if index < 8 { low |= byte &<< UInt64(index &* 8) } else { high |= byte &<< UInt64((index &- 8) &* 8) }
            index &+= 1
        }
        self.low = low
        self.high = high | UInt64(truncatingIfNeeded: count) &<< 56
    }

    @inline(__always)
    static func ~= (literal: StaticString, text: Self) -> Bool { Self(literal: literal) == text }
}

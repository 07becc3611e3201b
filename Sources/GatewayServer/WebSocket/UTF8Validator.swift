/// Checks that bytes arriving in any pieces are UTF-8 (RFC 3629), and says no at the first byte that can't be.
///
/// Overlong forms, surrogates and code points over U+10FFFF are refused by the bounds that their lead byte puts on the second byte
/// (Unicode, table 3-7), so a wrong character is seen before it is complete.
package struct UTF8Validator: Sendable {
    /// Continuation bytes still missing from the last character, 0–3.
    private var missing: UInt8 = 0
    /// Bounds of the next continuation byte.
    private var lower: UInt8 = 0x80
    private var upper: UInt8 = 0xBF

    package init() {}

    /// Whether the bytes so far end with a whole character.
    package var isComplete: Bool { missing == 0 }

    /// - Returns: false when the bytes so far can't be the beginning of UTF-8 text; the validator is of no use after that.
    package mutating func accept(_ bytes: RawSpan) -> Bool {
        bytes.withUnsafeBytes { accept($0) }
    }

    private mutating func accept(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        let count = bytes.count
        var offset = 0
        while offset < count {
            // What a piece left open, or what the end of this one may cut, goes byte by byte.
            if missing > 0 || count &- offset < 4 {
                guard accept(base.load(fromByteOffset: offset, as: UInt8.self)) else { return false }
                offset &+= 1
                continue
            }
            let lead = base.load(fromByteOffset: offset, as: UInt8.self)
            if lead < 0x80 {
                offset = Self.skipASCII(base, from: offset &+ 1, to: count)
                continue
            }
            let length = Self.characterLength(base.loadUnaligned(fromByteOffset: offset, as: UInt32.self).littleEndian)
            guard length > 0 else { return false }
            offset &+= length
        }
        return true
    }

    /// The length of the character of two to four bytes at the beginning of a word, 0 when there is none. The first byte is the lowest.
    @inline(__always)
    private static func characterLength(_ word: UInt32) -> Int {
        let second = (word >> 8) & 0xFF
        switch word & 0xFF {
        case 0xC2...0xDF:
            return word & 0xC000 == 0x8000 ? 2 : 0
        case 0xE0...0xEF:
            guard word & 0xC0_C000 == 0x80_8000 else { return 0 }
            // E0 80–9F would be overlong, ED A0–BF a surrogate.
            switch word & 0xFF {
            case 0xE0: return second >= 0xA0 ? 3 : 0
            case 0xED: return second <= 0x9F ? 3 : 0
            default: return 3
            }
        case 0xF0...0xF4:
            guard word & 0xC0C0_C000 == 0x8080_8000 else { return 0 }
            // F0 80–8F would be overlong, F4 90–BF over U+10FFFF.
            switch word & 0xFF {
            case 0xF0: return second >= 0x90 ? 4 : 0
            case 0xF4: return second <= 0x8F ? 4 : 0
            default: return 4
            }
        default:
            return 0
        }
    }

    /// The offset of the first byte that isn't ASCII, or near before it; `count` when there is none.
    @inline(__always)
    private static func skipASCII(_ base: UnsafeRawPointer, from start: Int, to count: Int) -> Int {
        var offset = start
        while count &- offset >= 64 {
            let block = base.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            let pair = block.lowHalf | block.highHalf
            let quarter = pair.lowHalf | pair.highHalf
            guard (quarter.x | quarter.y) & 0x8080_8080_8080_8080 == 0 else { break }
            offset &+= 64
        }
        while count &- offset >= 8 {
            let high = base.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian & 0x8080_8080_8080_8080
            guard high == 0 else { return offset &+ high.trailingZeroBitCount / 8 }
            offset &+= 8
        }
        return offset
    }

    private mutating func accept(_ byte: UInt8) -> Bool {
        if missing > 0 {
            guard byte >= lower, byte <= upper else { return false }
            missing &-= 1
            lower = 0x80
            upper = 0xBF
            return true
        }
        switch byte {
        case 0x00...0x7F: break
        case 0xC2...0xDF: missing = 1
        case 0xE0: (missing, lower) = (2, 0xA0)
        case 0xED: (missing, upper) = (2, 0x9F)
        case 0xE1...0xEF: missing = 2
        case 0xF0: (missing, lower) = (3, 0x90)
        case 0xF1...0xF3: missing = 3
        case 0xF4: (missing, upper) = (3, 0x8F)
        default: return false
        }
        return true
    }
}

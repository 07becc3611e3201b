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

    /// Whether bytes are UTF-8 text as a whole.
    package static func isValid(_ bytes: RawSpan) -> Bool {
        var validator = UTF8Validator()
        return validator.accept(bytes) && validator.isComplete
    }

    /// Whether the bytes so far end with a whole character.
    package var isComplete: Bool { missing == 0 }

    /// - Returns: false when the bytes so far can't be the beginning of UTF-8 text; the validator is of no use after that.
    package mutating func accept(_ bytes: RawSpan) -> Bool {
        let count = bytes.byteCount
        var offset = 0
        while offset < count {
            if missing == 0 {
                offset = Self.endOfWholeBlocks(in: bytes, from: offset)
                guard offset < count else { return true }
            }
            // What a piece left open, what its end may cut, and what no block can vouch for, goes byte by byte to the end of its character.
            guard accept(bytes.byte(at: offset)) else { return false }
            offset &+= 1
        }
        return true
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

    // MARK: Sixteen bytes at a time

    /// Where the character begins up to which all is valid, as far as whole blocks tell. `start` is the beginning of a character.
    @inline(__always)
    private static func endOfWholeBlocks(in bytes: RawSpan, from start: Int) -> Int {
        let count = bytes.byteCount
        var offset = skipASCII(in: bytes, from: start)
        // Blocks look three bytes back, at what was found valid already.
        guard offset >= 3, count &- offset >= 16 else { return offset }
        while count &- offset >= 16 {
            let block = UTF8Block(in: bytes, at: offset)
            guard block.isValid else { break }
            offset &+= 16
            if block.isASCII { offset = skipASCII(in: bytes, from: offset) }
        }
        return startOfOpenCharacter(in: bytes, at: offset)
    }

    @inline(__always)
    private static func skipASCII(in bytes: RawSpan, from start: Int) -> Int {
        var offset = start
        while bytes.byteCount &- offset >= 64 {
            let first = bytes.block(at: offset) | bytes.block(at: offset &+ 16)
            let second = bytes.block(at: offset &+ 32) | bytes.block(at: offset &+ 48)
            guard (first | second).isASCII else { break }
            offset &+= 64
        }
        while bytes.byteCount &- offset >= 16, bytes.block(at: offset).isASCII { offset &+= 16 }
        return offset
    }

    /// The offset, or the start of the character that began less than its own length before it. At least three bytes lie before.
    @inline(__always)
    private static func startOfOpenCharacter(in bytes: RawSpan, at offset: Int) -> Int {
        if bytes.byte(at: offset &- 1) >= 0xC0 { return offset &- 1 }
        if bytes.byte(at: offset &- 2) >= 0xE0 { return offset &- 2 }
        if bytes.byte(at: offset &- 3) >= 0xF0 { return offset &- 3 }
        return offset
    }
}

/// Sixteen bytes, checked together with the three before them.
private struct UTF8Block {
    let isValid: Bool
    let isASCII: Bool

    @inline(__always)
    init(in bytes: RawSpan, at offset: Int) {
        let byte = bytes.block(at: offset)
        let before = bytes.block(at: offset &- 1)
        let before2 = bytes.block(at: offset &- 2)
        let before3 = bytes.block(at: offset &- 3)

        let mustContinue = before.atLeast(0xC0) .| before2.atLeast(0xE0) .| before3.atLeast(0xF0)
        let misplaced = byte.isContinuation .^ mustContinue
        let never = byte.equal(to: 0xC0) .| byte.equal(to: 0xC1) .| byte.atLeast(0xF5)
        // Leads that put bounds of their own on the second byte: few scripts have them.
        let strict = before.equal(to: 0xE0) .| before.equal(to: 0xED) .| before.atLeast(0xF0)
        if BlockMask(strict).isEmpty {
            isValid = BlockMask(misplaced .| never).isEmpty
        } else {
            let overlong = before.equal(to: 0xE0) .& byte.below(0xA0) .| before.equal(to: 0xF0) .& byte.below(0x90)
            let beyond = before.equal(to: 0xED) .& byte.atLeast(0xA0) .| before.equal(to: 0xF4) .& byte.atLeast(0x90)
            isValid = BlockMask(misplaced .| never .| overlong .| beyond).isEmpty
        }
        isASCII = byte.isASCII
    }
}

extension SIMD where Self == ByteBlock {
    /// 0x80–0xBF: as signed numbers the smallest.
    @inline(__always)
    fileprivate var isContinuation: ByteLanes {
        SIMD16<Int8>(truncatingIfNeeded: self) .< SIMD16<Int8>(repeating: -64)
    }

    @inline(__always)
    fileprivate var isASCII: Bool { BlockMask(atLeast(0x80)).isEmpty }
}

// SPDX-License-Identifier: Apache-2.0

/// An incremental UTF-8 validator (RFC 3629) that rejects a text at the first byte that can't be part of valid UTF-8.
///
/// The lead byte sets bounds for the second byte (Unicode, table 3-7), which exclude overlong forms, surrogates and code points above
/// U+10FFFF. An invalid character is thus detected before it is complete.
package struct UTF8Validator: Sendable {
    /// The number of continuation bytes missing from the last character, 0–3.
    private var missing: UInt8 = 0
    /// The bounds of the next continuation byte.
    private var lower: UInt8 = 0x80
    private var upper: UInt8 = 0xBF

    package init() {}

    /// Returns whether the bytes are valid UTF-8 text as a whole.
    package static func isValid(_ bytes: RawSpan) -> Bool {
        var validator = UTF8Validator()
        return validator.accept(bytes) && validator.isComplete
    }

    /// Whether the bytes so far end with a complete character.
    package var isComplete: Bool { missing == 0 }

    /// Checks the next bytes.
    ///
    /// - Returns: false when the bytes so far aren't a prefix of UTF-8 text; the validator must not be used afterwards
    package mutating func accept(_ bytes: RawSpan) -> Bool {
        let count = bytes.byteCount
        var offset = 0
        while offset < count {
            if missing == 0 {
                offset = Self.endOfWholeBlocks(in: bytes, from: offset)
                guard offset < count else { return true }
            }
            // Characters split between calls, and those in invalid or partial blocks, are checked byte by byte.
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

    /// Validates whole blocks, and returns the start of the first character that has to be checked byte by byte. `start` is the start of a
    /// character.
    @inline(__always)
    private static func endOfWholeBlocks(in bytes: RawSpan, from start: Int) -> Int {
        let count = bytes.byteCount
        var offset = skipASCII(in: bytes, from: start)
        // Checking a block reads the three bytes before it, which were checked before.
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

    /// Returns the start of the character that is incomplete at `offset`, or `offset` itself. At least three bytes precede it.
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
        // Lead bytes with special bounds for the second byte; few scripts use them.
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
    /// The lanes that are 0x80–0xBF, the smallest values as signed integers.
    @inline(__always)
    fileprivate var isContinuation: ByteLanes {
        SIMD16<Int8>(truncatingIfNeeded: self) .< SIMD16<Int8>(repeating: -64)
    }

    @inline(__always)
    fileprivate var isASCII: Bool { BlockMask(atLeast(0x80)).isEmpty }
}

// SPDX-License-Identifier: Apache-2.0

/// Strict base64 (RFC 4648 §4): the standard alphabet, required padding, no white space, and zeros in the unused bits.
package enum Base64 {
    /// Returns the decoded size of a valid text in bytes; nil if the length is invalid.
    package static func decodedCount(of text: RawSpan) -> Int? {
        let count = text.byteCount
        guard count % 4 == 0 else { return nil }
        guard count > 0 else { return 0 }
        return count / 4 * 3 - paddingCount(of: text)
    }

    /// Returns whether all of `text` is valid.
    package static func isValid(_ text: RawSpan) -> Bool {
        guard text.byteCount % 4 == 0 else { return false }
        let body = text.byteCount &- paddingCount(of: text)
        var offset = 0
        while body &- offset >= 16 {
            guard Sextets(text.block(at: offset)).areValid else { return false }
            offset &+= 16
        }
        var last: UInt8 = 0
        while offset < body {
            guard let sextet = sextet(of: text.byte(at: offset)) else { return false }
            last = sextet
            offset &+= 1
        }
        // With padding, the body isn't a multiple of 16 characters, so the loop above has set `last` to the last one.
        return last & unusedBits(padding: text.byteCount &- body) == 0
    }

    /// Appends the decoded bytes of `text`; appends nothing and returns false if it is invalid.
    package static func decode(_ text: RawSpan, into bytes: inout [UInt8]) -> Bool {
        guard let count = decodedCount(of: text) else { return false }
        // Adding a capacity of 0 to an empty array would write to the empty-array storage that all threads share.
        guard count > 0 else { return true }
        let start = bytes.count
        bytes.append(addingCapacity: count) { $0.append(repeating: 0, count: count) }
        guard decode(text, into: &bytes, at: start) else {
            bytes.removeSubrange(start...)
            return false
        }
        return true
    }

    /// Appends the decoded bytes of a JSON string; `span` is the scanned message.
    package static func decode(_ slice: TextSlice, from span: RawSpan, into bytes: inout [UInt8]) -> Bool {
        if slice.isVerbatim { return decode(span.extracting(slice.start..<slice.start &+ slice.rawCount), into: &bytes) }
        let text = slice.bytes(in: span)
        // `UInt8` has no padding that could be read.
        return decode(unsafe text.span.bytes, into: &bytes)
    }

    /// Decodes into `bytes`, which has room for the whole result from `start`.
    private static func decode(_ text: RawSpan, into bytes: inout [UInt8], at start: Int) -> Bool {
        let body = text.byteCount &- paddingCount(of: text)
        var output = bytes.mutableSpan
        // Any bit pattern is a valid byte.
        var raw = unsafe output.mutableBytes
        var offset = 0
        var target = start
        while body &- offset >= 16 {
            let sextets = Sextets(text.block(at: offset))
            guard sextets.areValid else { return false }
            let (low, high) = sextets.joined
            raw.storeBytes(of: low, toByteOffset: target, as: UInt64.self)
            raw.storeBytes(of: high, toByteOffset: target &+ 8, as: UInt32.self)
            offset &+= 16
            target &+= 12
        }
        var bits: UInt32 = 0
        var bitCount: UInt32 = 0
        while offset < body {
            guard let sextet = sextet(of: text.byte(at: offset)) else { return false }
            bits = bits &<< 6 | UInt32(sextet)
            bitCount &+= 6
            if bitCount >= 8 {
                bitCount &-= 8
                raw.storeBytes(of: UInt8(truncatingIfNeeded: bits &>> bitCount), toByteOffset: target, as: UInt8.self)
                target &+= 1
            }
            offset &+= 1
        }
        return bits & ((1 &<< bitCount) &- 1) == 0
    }

    /// The number of padding characters, 0 to 2.
    private static func paddingCount(of text: RawSpan) -> Int {
        let count = text.byteCount
        guard count >= 4, text.byte(at: count &- 1) == UInt8(ascii: "=") else { return 0 }
        return text.byte(at: count &- 2) == UInt8(ascii: "=") ? 2 : 1
    }

    /// A mask of the unused bits of the last character.
    private static func unusedBits(padding: Int) -> UInt8 {
        switch padding {
        case 1: 0b00_0011
        case 2: 0b00_1111
        default: 0
        }
    }

    private static func sextet(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character &- 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character &- 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character &+ 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}

/// The six-bit values of sixteen characters.
private struct Sextets {
    let areValid: Bool
    private let values: ByteBlock

    @inline(__always)
    init(_ characters: ByteBlock) {
        func all(_ value: UInt8) -> ByteBlock { ByteBlock(repeating: value) }
        // Each lane of the mask is a byte of all zeros or all ones, so both types have 16 bytes.
        func bits(_ lanes: ByteLanes) -> ByteBlock { unsafe unsafeBitCast(lanes, to: ByteBlock.self) }

        let upper = bits((characters &- all(65)).below(26))
        let lower = bits((characters &- all(97)).below(26))
        let digit = bits((characters &- all(48)).below(10))
        let plus = bits(characters.equal(to: UInt8(ascii: "+")))
        let slash = bits(characters.equal(to: UInt8(ascii: "/")))
        let letters = (characters &- all(65)) & upper | (characters &- all(71)) & lower
        let others = (characters &+ all(4)) & digit | all(62) & plus | all(63) & slash
        areValid = BlockMask((upper | lower | digit | plus | slash).equal(to: 0)).isEmpty
        values = letters | others
    }

    /// The twelve decoded bytes, the first in the lowest bits.
    @inline(__always)
    var joined: (UInt64, UInt32) {
        // Four groups of four values, each value in one byte.
        let groups = unsafe unsafeBitCast(values, to: SIMD4<UInt32>.self)
        func all(_ value: UInt32) -> SIMD4<UInt32> { SIMD4(repeating: value) }
        let first = (groups &<< all(2)) & all(0xFC) | (groups &>> all(12)) & all(0x03)
        let second = (groups &<< all(4)) & all(0xF000) | (groups &>> all(10)) & all(0x0F00)
        let third = (groups &<< all(6)) & all(0xC0_0000) | (groups &>> all(8)) & all(0x3F_0000)
        let bytes = first | second | third
        let low = UInt64(bytes[0]) | UInt64(bytes[1]) &<< 24
        let high = UInt64(bytes[2]) | UInt64(bytes[3]) &<< 24
        return (low | high &<< 48, UInt32(truncatingIfNeeded: high &>> 16))
    }
}

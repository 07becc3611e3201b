// SPDX-License-Identifier: Apache-2.0

/// A pull parser for strict JSON (RFC 8259), without recursion or allocation.
///
/// All calls must be passed the same span.
struct JSONReader {
    var position: Int
    /// The maximum nesting depth, where the message itself is 1. At most ``ValidationRules/maximumNesting``.
    let maximumDepth: Int
    /// Whether `NaN`, `Infinity` and `-Infinity` are accepted as `null`. They aren't JSON, but common encoders write them.
    var acceptsNonFinite = false

    init(at position: Int, maximumDepth: Int) {
        self.position = position
        self.maximumDepth = maximumDepth
    }

    /// Returns the byte at the position.
    @inline(__always)
    func current(in bytes: RawSpan) throws(JSONSyntaxError) -> UInt8 {
        guard position < bytes.byteCount else { throw JSONSyntaxError(.unexpectedEnd, at: position) }
        return bytes.byte(at: position)
    }

    @inline(__always)
    mutating func skipWhitespace(in bytes: RawSpan) {
        while position < bytes.byteCount {
            switch bytes.byte(at: position) {
            case 0x20, 0x0A, 0x0D, 0x09: position &+= 1
            default: return
            }
        }
    }

    @inline(__always)
    mutating func expect(_ byte: UInt8, in bytes: RawSpan) throws(JSONSyntaxError) {
        guard try current(in: bytes) == byte else { throw JSONSyntaxError(.unexpectedByte, at: position) }
        position &+= 1
    }

    /// Reads a key, the colon after it, and the white space around the colon.
    @inline(__always)
    mutating func key(in bytes: RawSpan) throws(JSONSyntaxError) -> JSONValue {
        try expect(UInt8(ascii: "\""), in: bytes)
        let key = try string(in: bytes)
        skipWhitespace(in: bytes)
        try expect(UInt8(ascii: ":"), in: bytes)
        skipWhitespace(in: bytes)
        return key
    }

    /// Reads the value at the position, inside a container at this depth.
    @inline(__always)
    mutating func value(in bytes: RawSpan, depth: Int) throws(JSONSyntaxError) -> JSONValue {
        switch try current(in: bytes) {
        case UInt8(ascii: "\""):
            position &+= 1
            return try string(in: bytes)
        case UInt8(ascii: "{"): return try container(.object, in: bytes, depth: depth)
        case UInt8(ascii: "["): return try container(.array, in: bytes, depth: depth)
        default: return try plainValue(in: bytes)
        }
    }

    /// Reads a number or a literal.
    mutating func plainValue(in bytes: RawSpan) throws(JSONSyntaxError) -> JSONValue {
        switch try current(in: bytes) {
        case UInt8(ascii: "-")
        where acceptsNonFinite && bytes.byteCount &- position > 1 && bytes.byte(at: position &+ 1) == UInt8(ascii: "I"):
            try literal("-Infinity", .null, in: bytes)
        case UInt8(ascii: "I") where acceptsNonFinite: try literal("Infinity", .null, in: bytes)
        case UInt8(ascii: "N") where acceptsNonFinite: try literal("NaN", .null, in: bytes)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number(in: bytes)
        case UInt8(ascii: "t"): try literal("true", .true, in: bytes)
        case UInt8(ascii: "f"): try literal("false", .false, in: bytes)
        case UInt8(ascii: "n"): try literal("null", .null, in: bytes)
        default: throw JSONSyntaxError(.unexpectedByte, at: position)
        }
    }

    @inline(__always)
    private mutating func literal(
        _ word: StaticString, _ kind: JSONValue.Kind, in bytes: RawSpan
    ) throws(JSONSyntaxError) -> JSONValue {
        let start = position
        for index in 0..<word.utf8CodeUnitCount {
            // Within the literal's count; literals live as long as the process.
            guard start &+ index < bytes.byteCount, unsafe bytes.byte(at: start &+ index) == word.utf8Start[index] else {
                throw JSONSyntaxError(.badLiteral, at: start)
            }
        }
        position = start &+ word.utf8CodeUnitCount
        return JSONValue(kind, start: start, end: position)
    }

    /// Reads a number (RFC 8259 §6): `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
    private mutating func number(in bytes: RawSpan) throws(JSONSyntaxError) -> JSONValue {
        let start = position
        var kind = JSONValue.Kind.integer
        if next(is: UInt8(ascii: "-"), in: bytes) { position &+= 1 }
        if next(is: UInt8(ascii: "0"), in: bytes) {
            position &+= 1
        } else {
            try digits(in: bytes)
        }
        if next(is: UInt8(ascii: "."), in: bytes) {
            kind = .fraction
            position &+= 1
            try digits(in: bytes)
        }
        if next(is: UInt8(ascii: "e"), in: bytes) || next(is: UInt8(ascii: "E"), in: bytes) {
            kind = .fraction
            position &+= 1
            if next(is: UInt8(ascii: "+"), in: bytes) || next(is: UInt8(ascii: "-"), in: bytes) { position &+= 1 }
            try digits(in: bytes)
        }
        return JSONValue(kind, start: start, end: position)
    }

    @inline(__always)
    private func next(is byte: UInt8, in bytes: RawSpan) -> Bool {
        position < bytes.byteCount && bytes.byte(at: position) == byte
    }

    /// Returns whether all eight bytes are digits: the upper four bits of each are 3, and remain 3 after adding 6.
    @inline(__always)
    private static func areDigits(_ word: UInt64) -> Bool {
        let upper: UInt64 = 0xF0F0_F0F0_F0F0_F0F0
        return word & upper | ((word &+ 0x0606_0606_0606_0606) & upper) &>> 4 == 0x3333_3333_3333_3333
    }

    /// Reads one or more digits.
    @inline(__always)
    private mutating func digits(in bytes: RawSpan) throws(JSONSyntaxError) {
        let start = position
        while bytes.byteCount &- position >= 8, Self.areDigits(bytes.word(at: position)) { position &+= 8 }
        while position < bytes.byteCount, bytes.byte(at: position) &- 0x30 < 10 { position &+= 1 }
        if position == start { throw JSONSyntaxError(.badNumber, at: position) }
    }
}

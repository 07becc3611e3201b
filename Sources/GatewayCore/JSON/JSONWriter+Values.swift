// SPDX-License-Identifier: Apache-2.0

/// Members and values by type. Members are inlined so that their names are constants at the call site.
extension JSONWriter {
    /// Writes a constant string that needs no escaping.
    @inline(__always)
    package mutating func member(_ name: StaticString, literal value: StaticString) {
        self.name(name)
        put(UInt8(ascii: "\""))
        put(value)
        put(UInt8(ascii: "\""))
    }

    @inline(__always)
    package mutating func member(_ name: StaticString, _ value: some BinaryInteger & FixedWidthInteger) {
        self.name(name)
        number(value)
    }

    @inline(__always)
    package mutating func member(_ name: StaticString, _ value: Bool) {
        self.name(name)
        if value { put("true") } else { put("false") }
    }

    /// Writes a finite number in the shortest form that round-trips; `null` for NaN and infinities, which JSON lacks.
    @inline(__always)
    package mutating func member(_ name: StaticString, _ value: Double) {
        self.name(name)
        number(value)
    }

    @inline(__always)
    package mutating func member(null name: StaticString) {
        self.name(name)
        put("null")
    }

    /// Writes a duration in milliseconds with up to three decimals. Negative durations are written as 0.
    @inline(__always)
    package mutating func member(_ name: StaticString, milliseconds duration: Instant.Duration) {
        self.name(name)
        milliseconds(duration.nanoseconds)
    }

    @inline(__always)
    package mutating func member(_ name: StaticString, _ value: MessageID) {
        self.name(name)
        quoted(value)
    }

    @inline(__always)
    package mutating func member(_ name: StaticString, _ value: ULID) {
        self.name(name)
        quoted(value)
    }

    /// Writes valid UTF-8 as a string.
    @inline(__always)
    package mutating func member(_ name: StaticString, _ value: [UInt8]) {
        self.name(name)
        // `UInt8` has no padding that could be read.
        string(unsafe value.span.bytes)
    }

    @inline(__always)
    package mutating func member(_ name: StaticString, _ value: String) {
        self.name(name)
        // As above.
        string(unsafe value.utf8Span.span.bytes)
    }

    /// Writes a member with a name that needs escaping.
    package mutating func member(named name: String, _ value: Double) {
        // As above.
        self.name(unsafe name.utf8Span.span.bytes)
        number(value)
    }

    /// Writes a member with a name that needs escaping. Name and value are valid UTF-8.
    package mutating func member(named name: [UInt8], _ value: [UInt8]) {
        // As above.
        self.name(unsafe name.span.bytes)
        // As above.
        string(unsafe value.span.bytes)
    }

    /// Writes a member with a name that needs escaping and a value that is already JSON.
    package mutating func member(named name: String, json value: [UInt8]) {
        // As above.
        self.name(unsafe name.utf8Span.span.bytes)
        // As above.
        put(unsafe value.span.bytes)
    }

    /// Writes a constant string, which needs no escaping, in an array.
    package mutating func element(literal value: StaticString) {
        separate()
        put(UInt8(ascii: "\""))
        put(value)
        put(UInt8(ascii: "\""))
    }

    /// Writes a value that is already JSON.
    @inline(__always)
    package mutating func member(_ name: StaticString, json value: RawSpan) {
        self.name(name)
        put(value)
    }

    /// Writes an id between quotes; ids need no escaping.
    mutating func quoted(_ id: MessageID) {
        put(UInt8(ascii: "\""))
        id.withBytes { put($0) }
        put(UInt8(ascii: "\""))
    }

    /// Writes a ULID between quotes; ULIDs need no escaping.
    mutating func quoted(_ id: ULID) {
        put(UInt8(ascii: "\""))
        let text = id.text
        // `UInt8` has no padding that could be read.
        put(unsafe text.span.bytes)
        put(UInt8(ascii: "\""))
    }

    @inline(__always)
    mutating func number(_ value: some BinaryInteger & FixedWidthInteger) {
        if value < 0 { put(UInt8(ascii: "-")) }
        decimal(UInt64(truncatingIfNeeded: value.magnitude))
    }

    private mutating func milliseconds(_ nanoseconds: Int64) {
        let microseconds = UInt64(truncatingIfNeeded: max(0, nanoseconds)) / 1000
        let (whole, rest) = microseconds.quotientAndRemainder(dividingBy: 1000)
        decimal(whole)
        guard rest > 0 else { return }
        put(UInt8(ascii: "."))
        put(0x30 &+ UInt8(truncatingIfNeeded: rest / 100))
        guard rest % 100 > 0 else { return }
        put(0x30 &+ UInt8(truncatingIfNeeded: rest / 10 % 10))
        if rest % 10 > 0 { put(0x30 &+ UInt8(truncatingIfNeeded: rest % 10)) }
    }

    mutating func number(_ value: Double) {
        if value == value.rounded(), abs(value) < 9e15 {
            number(Int64(value))
        } else if value.isFinite {
            let text = value.description
            // `UInt8` has no padding that could be read.
            put(unsafe text.utf8Span.span.bytes)
        } else {
            put("null")
        }
    }

    /// Writes the digits from the last to the first, two at a time.
    private mutating func decimal(_ value: UInt64) {
        var index = Self.digits(of: value)
        guard let target = unsafe advance(by: index) else { return }
        var rest = value
        while rest >= 100 {
            let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
            rest = quotient
            index &-= 2
            unsafe target.storeBytes(of: Self.digits(pair: pair), toByteOffset: index, as: UInt16.self)
        }
        if rest >= 10 {
            unsafe target.storeBytes(of: Self.digits(pair: rest), as: UInt16.self)
        } else {
            unsafe target.storeBytes(of: 0x30 &+ UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        }
    }

    /// Returns the two digits of a number below 100, the first digit in the lower byte.
    @inline(__always)
    private static func digits(pair: UInt64) -> UInt16 {
        let value = UInt32(truncatingIfNeeded: pair)
        // A division by ten, exact below 100.
        let tens = (value &* 103) &>> 10
        return UInt16(truncatingIfNeeded: 0x3030 | tens | (value &- tens &* 10) &<< 8).littleEndian
    }

    private static func digits(of value: UInt64) -> Int {
        var (count, limit): (Int, UInt64) = (1, 10)
        while value >= limit {
            count &+= 1
            // 10^20 exceeds 64 bits.
            if count == 20 { break }
            limit &*= 10
        }
        return count
    }
}

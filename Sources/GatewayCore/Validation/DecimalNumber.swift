// SPDX-License-Identifier: Apache-2.0

/// The value of a JSON number, computed from its digits: exact within 64 bits in any notation (`16000`, `16000.0`, `1.6e4`).
struct DecimalNumber {
    let isNegative: Bool
    /// The digits before the decimal point; `UInt64.max` on overflow.
    private(set) var magnitude: UInt64 = 0
    private(set) var isTooLarge = false
    private(set) var hasFraction = false

    /// The limit that exponents are clamped to. No message has enough digits for a greater exponent to change the value.
    private static let largestExponent = 1 << 40

    /// Nil for anything but a number.
    ///
    /// - Parameter value: a value whose syntax was already checked
    init?(_ value: JSONValue, in bytes: RawSpan) {
        guard value.kind == .integer || value.kind == .fraction else { return nil }
        isNegative = bytes.byte(at: value.start) == UInt8(ascii: "-")
        let start = isNegative ? value.start + 1 : value.start
        let (point, end) = Self.ends(from: start, to: value.end, in: bytes)
        // The number of digits before the decimal point once the exponent is applied.
        var integerDigits = point - start + Self.exponent(from: end, to: value.end, in: bytes)
        for offset in start..<end where offset != point {
            let digit = bytes.byte(at: offset) &- 0x30
            if integerDigits > 0 {
                append(digit)
                integerDigits -= 1
            } else if digit != 0 {
                hasFraction = true
            }
        }
        while integerDigits > 0, magnitude > 0, !isTooLarge {
            append(0)
            integerDigits -= 1
        }
    }

    /// The value if it is a non-negative integer of up to 64 bits; nil otherwise.
    var whole: UInt64? { hasFraction || isTooLarge || isNegative && magnitude > 0 ? nil : magnitude }

    /// The value rounded down to an integer; 0 for negative numbers.
    var roundedDown: UInt64 { isNegative ? 0 : magnitude }

    private mutating func append(_ digit: UInt8) {
        let (tens, multiplicationOverflows) = magnitude.multipliedReportingOverflow(by: 10)
        let (sum, additionOverflows) = tens.addingReportingOverflow(UInt64(digit))
        isTooLarge = isTooLarge || multiplicationOverflows || additionOverflows
        magnitude = isTooLarge ? .max : sum
    }

    /// Returns the end of the digits before the decimal point and the end of the digits after it.
    private static func ends(from start: Int, to end: Int, in bytes: RawSpan) -> (point: Int, digits: Int) {
        func digits(from start: Int) -> Int {
            var offset = start
            while offset < end, bytes.byte(at: offset) &- 0x30 < 10 { offset += 1 }
            return offset
        }
        let point = digits(from: start)
        guard point < end, bytes.byte(at: point) == UInt8(ascii: ".") else { return (point, point) }
        return (point, digits(from: point + 1))
    }

    /// Returns the exponent, 0 if absent.
    ///
    /// - Parameter start: the end of the digits, where an `e` may follow
    private static func exponent(from start: Int, to end: Int, in bytes: RawSpan) -> Int {
        var number = 0
        var isNegative = false
        for offset in start..<end {
            let byte = bytes.byte(at: offset)
            if byte == UInt8(ascii: "-") { isNegative = true }
            if byte &- 0x30 < 10 { number = min(number * 10 + Int(byte &- 0x30), largestExponent) }
        }
        return isNegative ? -number : number
    }
}

/// The value of a JSON number, from its digits: exact where 64 bits hold it, whichever way it is written (`16000`, `16000.0`, `1.6e4`).
struct DecimalNumber {
    let isNegative: Bool
    /// The digits in front of the decimal point; `UInt64.max` where they are too many.
    private(set) var magnitude: UInt64 = 0
    private(set) var isTooLarge = false
    private(set) var hasFraction = false

    /// Exponents beyond this are taken for it: no message has so many digits that it would make a difference.
    private static let largestExponent = 1 << 40

    /// - Parameter value: found to be RFC 8259's already; nil for anything but a number
    init?(_ value: JSONValue, in bytes: RawSpan) {
        guard value.kind == .integer || value.kind == .fraction else { return nil }
        isNegative = bytes.byte(at: value.start) == UInt8(ascii: "-")
        let start = isNegative ? value.start + 1 : value.start
        let (point, end) = Self.ends(from: start, to: value.end, in: bytes)
        // Digits that are still in front of the point, once the exponent has moved it.
        var places = point - start + Self.exponent(from: end, to: value.end, in: bytes)
        for offset in start..<end where offset != point {
            let digit = bytes.byte(at: offset) &- 0x30
            if places > 0 {
                append(digit)
                places -= 1
            } else if digit != 0 {
                hasFraction = true
            }
        }
        while places > 0, magnitude > 0, !isTooLarge {
            append(0)
            places -= 1
        }
    }

    /// The value of a whole number that isn't negative; nil for others, and beyond 64 bits.
    var whole: UInt64? { hasFraction || isTooLarge || isNegative && magnitude > 0 ? nil : magnitude }

    /// Rounded down to whole numbers that aren't negative.
    var roundedDown: UInt64 { isNegative ? 0 : magnitude }

    private mutating func append(_ digit: UInt8) {
        let (tens, isOver) = magnitude.multipliedReportingOverflow(by: 10)
        let (sum, isOverByDigit) = tens.addingReportingOverflow(UInt64(digit))
        isTooLarge = isTooLarge || isOver || isOverByDigit
        magnitude = isTooLarge ? .max : sum
    }

    /// Where the digits in front of the point end, and those behind it.
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

    /// - Parameter start: where an `e` may be
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

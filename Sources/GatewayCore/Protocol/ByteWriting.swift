/// Writing JSON and text into byte arrays without detours over `String`.
extension [UInt8] {
    /// Lends all bytes.
    package func withRawSpan<Result>(_ body: (RawSpan) -> Result) -> Result {
        // `UInt8` has no padding that could be read.
        body(unsafe span.bytes)
    }

    package mutating func append(_ literal: StaticString) {
        // A literal's bytes live as long as the process.
        literal.withUTF8Buffer { unsafe append(contentsOf: $0) }
    }

    package mutating func append(bytesOf span: RawSpan) {
        // The span outlives the call, and `append` copies.
        unsafe span.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }

    package mutating func append(decimal value: some BinaryInteger & FixedWidthInteger) {
        if value == 0 {
            append(0x30)
            return
        }
        if value < 0 { append(0x2D) }
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var rest = UInt64(truncatingIfNeeded: value.magnitude)
        var index = 20
        while rest > 0, index > 0 {
            index -= 1
            digits[index] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        for position in index..<20 { append(digits[position]) }
    }

    /// Appends a finite number in the shortest form that reads back the same; JSON has no other.
    package mutating func append(jsonNumber value: Double) {
        if value == value.rounded(), abs(value) < 9e15 {
            append(decimal: Int64(value))
        } else if value.isFinite {
            append(contentsOf: value.description.utf8)
        } else {
            append("null")
        }
    }

    package mutating func append(_ value: Bool) {
        append(value ? "true" as StaticString : "false")
    }

    /// Appends `value` between quotes, escaped.
    package mutating func append(jsonString value: String) {
        append(0x22)
        JSONText.appendEscaped(value.utf8Span.span, to: &self)
        append(0x22)
    }

    /// Appends `value` between quotes, escaped. The bytes are valid UTF-8.
    package mutating func append(jsonString value: [UInt8]) {
        append(0x22)
        JSONText.appendEscaped(value.span, to: &self)
        append(0x22)
    }

    /// Appends an id between quotes; none needs escaping.
    package mutating func append(quoted id: MessageID) {
        append(0x22)
        id.append(to: &self)
        append(0x22)
    }
}

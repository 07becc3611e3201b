// SPDX-License-Identifier: Apache-2.0

/// Appends text and JSON values to byte arrays without intermediate `String`s.
extension [UInt8] {
    /// Calls `body` with all bytes.
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
        // 20 digits, or a sign and 19 digits.
        appendJSON(expecting: 20) { $0.number(value) }
    }

    package mutating func append(jsonNumber value: Double) { appendJSON(expecting: 32) { $0.number(value) } }

    /// Appends `value` between quotes, escaped.
    package mutating func append(jsonString value: String) {
        let span = value.utf8Span.span
        // `UInt8` has no padding that could be read.
        appendJSON(expecting: span.count &+ 2) { $0.string(unsafe span.bytes) }
    }

    /// Appends `value` between quotes, escaped. The bytes are valid UTF-8.
    package mutating func append(jsonString value: [UInt8]) {
        appendJSON(expecting: value.count &+ 2) { writer in value.withRawSpan { writer.string($0) } }
    }

    /// Appends valid UTF-8 as the content of a JSON string, escaped, without quotes.
    package mutating func append(jsonEscaped text: RawSpan) { appendJSON(expecting: text.byteCount) { $0.escaped(text) } }

    /// Appends an id between quotes; ids need no escaping.
    package mutating func append(quoted id: MessageID) {
        append(0x22)
        id.append(to: &self)
        append(0x22)
    }
}

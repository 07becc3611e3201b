// SPDX-License-Identifier: Apache-2.0

/// The position of a span within a trace, as the W3C header `traceparent` conveys it (Trace Context, Level 2).
package struct TraceContext: Sendable, Hashable {
    /// The id of the trace, 16 bytes; never zero.
    package var high: UInt64
    package var low: UInt64
    /// The id of the span; never zero.
    package var span: UInt64
    /// Whether the trace is recorded.
    package var isSampled: Bool

    /// The size of a `traceparent` of version 00, in bytes.
    package static let textSize = 55

    package init(high: UInt64, low: UInt64, span: UInt64, isSampled: Bool) {
        self.high = high
        self.low = low
        self.span = span
        self.isSampled = isSampled
    }

    /// Creates the context of a new trace.
    package init(using generator: inout some RandomNumberGenerator, isSampled: Bool = false) {
        self.init(
            high: .random(in: 1 ... .max, using: &generator), low: .random(in: 1 ... .max, using: &generator),
            span: .random(in: 1 ... .max, using: &generator), isSampled: isSampled)
    }

    /// Returns the context of a child span.
    package func child(using generator: inout some RandomNumberGenerator) -> TraceContext {
        TraceContext(high: high, low: low, span: .random(in: 1 ... .max, using: &generator), isSampled: isSampled)
    }

    /// Parses `version-traceid-parentid-flags`, all in lowercase hexadecimal digits. A version after 00 may have further fields.
    ///
    /// - Returns: nil if the text is invalid; the trace then begins here, as the standard requires
    package init?(traceparent text: some Collection<UInt8>) {
        guard text.count >= Self.textSize, text.count <= 512 else { return nil }
        let bytes = Array(text)
        let dash = UInt8(ascii: "-")
        guard bytes[2] == dash, bytes[35] == dash, bytes[52] == dash, let version = Self.number(bytes[0..<2]),
            let high = Self.number(bytes[3..<19]), let low = Self.number(bytes[19..<35]), let span = Self.number(bytes[36..<52]),
            let flags = Self.number(bytes[53..<55]), version != 0xFF, high | low != 0, span != 0
        else { return nil }
        guard bytes.count == Self.textSize || (version > 0 && bytes[55] == dash) else { return nil }
        self.init(high: high, low: low, span: span, isSampled: flags & 1 == 1)
    }

    /// The `traceparent` for the receiver of a request.
    package var traceparent: [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(Self.textSize)
        text += "00-".utf8
        Self.append(high, to: &text)
        Self.append(low, to: &text)
        text.append(UInt8(ascii: "-"))
        Self.append(span, to: &text)
        text += (isSampled ? "-01" : "-00").utf8
        return text
    }

    /// The id of the trace in hexadecimal digits.
    package var traceID: [UInt8] {
        var text: [UInt8] = []
        Self.append(high, to: &text)
        Self.append(low, to: &text)
        return text
    }

    /// Returns the id of a span in hexadecimal digits.
    package static func text(ofSpan id: UInt64) -> [UInt8] {
        var text: [UInt8] = []
        append(id, to: &text)
        return text
    }

    private static func append(_ number: UInt64, to text: inout [UInt8]) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: number >> UInt64(shift) & 0xF)
            text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit)
        }
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var number: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return number
    }
}

/// The trace that the messages of a connection belong to.
package struct TraceOrigin: Sendable, Hashable {
    /// The span of the connection.
    package var connection: TraceContext
    /// Whether the client sent `traceparent` with its upgrade request: messages are then part of the client's trace. Otherwise each message
    /// is a trace of its own, with a link to the connection.
    package var joinsClient: Bool

    package init(connection: TraceContext, joinsClient: Bool) {
        self.connection = connection
        self.joinsClient = joinsClient
    }
}

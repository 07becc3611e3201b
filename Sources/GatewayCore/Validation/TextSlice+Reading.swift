extension TextSlice {
    /// Appends the text, unescaped and sanitized: ``count`` bytes of UTF-8. `span` is the one that was scanned.
    package func append(to bytes: inout [UInt8], from span: RawSpan) {
        if isVerbatim {
            bytes.append(bytesOf: span.extracting(start..<start &+ rawCount))
            return
        }
        append(sanitized: true, to: &bytes, from: span)
    }

    /// The text, unescaped and sanitized.
    package func bytes(in span: RawSpan) -> [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes, from: span)
        return bytes
    }

    /// Appends the text as the inside of a JSON string, without the quotes. Bytes that need no change are copied as they lie.
    package func appendAsJSON(to bytes: inout [UInt8], from span: RawSpan) {
        // What stands unescaped in one JSON string may stand so in any.
        if isVerbatim {
            bytes.append(bytesOf: span.extracting(start..<start &+ rawCount))
            return
        }
        var pieces = TextPieces(start: start, end: start &+ rawCount, isSanitizing: true)
        while let piece = pieces.next(in: span) {
            switch piece {
            case .run(let range): bytes.append(bytesOf: span.extracting(range))
            case .scalar(let scalar):
                if scalar < 0x80 {
                    JSONText.appendEscaped(UInt8(truncatingIfNeeded: scalar), to: &bytes)
                } else {
                    bytes.append(utf8: scalar)
                }
            }
        }
    }

    /// Appends the text unescaped, as keys are compared, or sanitized as well.
    func append(sanitized: Bool, to bytes: inout [UInt8], from span: RawSpan) {
        var pieces = TextPieces(start: start, end: start &+ rawCount, isSanitizing: sanitized)
        while let piece = pieces.next(in: span) {
            switch piece {
            case .run(let range): bytes.append(bytesOf: span.extracting(range))
            case .scalar(let scalar): bytes.append(utf8: scalar)
            }
        }
    }
}

extension NumberSlice {
    /// Appends the number as it was written.
    package func append(to bytes: inout [UInt8], from span: RawSpan) {
        bytes.append(bytesOf: span.extracting(start..<start &+ count))
    }
}

extension [UInt8] {
    /// Appends a scalar value as UTF-8 (RFC 3629 §3).
    fileprivate mutating func append(utf8 scalar: UInt32) {
        func byte(_ bits: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: bits) }
        switch scalar {
        case 0..<0x80: append(byte(scalar))
        case 0..<0x800:
            append(byte(0xC0 | scalar &>> 6))
            append(byte(0x80 | scalar & 0x3F))
        case 0..<0x1_0000:
            append(byte(0xE0 | scalar &>> 12))
            append(byte(0x80 | scalar &>> 6 & 0x3F))
            append(byte(0x80 | scalar & 0x3F))
        default:
            append(byte(0xF0 | scalar &>> 18))
            append(byte(0x80 | scalar &>> 12 & 0x3F))
            append(byte(0x80 | scalar &>> 6 & 0x3F))
            append(byte(0x80 | scalar & 0x3F))
        }
    }
}

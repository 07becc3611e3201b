// SPDX-License-Identifier: Apache-2.0

extension MessageScanner {
    /// Returns the sanitized text of a string; nil for other kinds of values and for strings that are too long for a name.
    @inline(__always)
    mutating func shortText(_ value: JSONValue, in bytes: RawSpan) -> ShortText? {
        guard value.kind == .string, value.count <= ShortText.maximumCount else { return nil }
        if value.isVerbatim { return ShortText(bytes, start: value.start, count: value.count) }
        return withText(value, in: bytes) { ShortText($0, start: 0, count: $0.byteCount) }
    }

    /// Calls `body` with the sanitized text of a string: in place if it is verbatim, otherwise from the scratch buffer.
    @inline(__always)
    mutating func withText<Result>(_ value: JSONValue, in bytes: RawSpan, _ body: (RawSpan) -> Result) -> Result {
        if value.isVerbatim { return body(bytes.extracting(value.start..<value.end)) }
        scratch.removeAll(keepingCapacity: true)
        value.text.append(to: &scratch, from: bytes)
        // `UInt8` has no padding that could be read.
        let result = body(unsafe scratch.span.bytes)
        // The buffer is reused if it is small; one that held a recording is freed.
        if scratch.capacity > 4096 { scratch = [] }
        return result
    }

    /// Returns an id; nil when the field is absent.
    @inline(__always)
    mutating func id(_ name: FieldName, in bytes: RawSpan) throws(MessageFault) -> MessageID? {
        guard let value = fields[name] else { return nil }
        guard value.kind == .string, value.count >= 1, value.count <= MessageID.maximumLength,
            let id = withText(value, in: bytes, { MessageID($0) })
        else {
            throw fault(.invalidID, field: name, in: bytes)
        }
        return id
    }

    @inline(__always)
    mutating func requiredID(in bytes: RawSpan) throws(MessageFault) -> MessageID {
        guard let id = try id(.id, in: bytes) else { throw fault(.missingID, field: .id, in: bytes) }
        return id
    }

    /// Returns a string whose sanitized size is within the range; nil when the field is absent.
    @inline(__always)
    func text(
        _ name: FieldName, of object: borrowing ObjectFields, in parent: StaticString = "", bytes count: ClosedRange<Int>,
        _ reason: ErrorReason, _ bytes: RawSpan
    ) throws(MessageFault) -> TextSlice? {
        guard let value = object[name] else { return nil }
        guard value.kind == .string, count.contains(value.count) else {
            throw fault(reason, field: name, of: parent, at: value, in: bytes)
        }
        return value.text
    }

    /// Returns a Boolean; nil when the field is absent.
    mutating func flag(_ name: FieldName, in bytes: RawSpan) throws(MessageFault) -> Bool? {
        switch fields[name]?.kind {
        case nil: nil
        case .true: true
        case .false: false
        default: throw fault(.notBoolean, field: name, in: bytes)
        }
    }

    /// Returns an integer from `minimum` to `maximum`, in any notation; nil when the field is absent.
    @inline(__always)
    func count(
        _ name: FieldName, from minimum: UInt64 = 0, to maximum: UInt64 = .max, in bytes: RawSpan
    ) throws(MessageFault) -> UInt64? {
        guard let value = fields[name] else { return nil }
        guard let count = Self.unsigned(value, in: bytes), count >= minimum, count <= maximum else {
            throw fault(.numberOutOfRange, field: name, in: bytes)
        }
        return count
    }

    /// Returns the value of a non-negative integer such as `16000`, `16000.0` or `1.6e4`; nil for other values and beyond 64 bits.
    static func unsigned(_ value: JSONValue, in bytes: RawSpan) -> UInt64? { DecimalNumber(value, in: bytes)?.whole }

    /// Returns a number rounded down, or 0 for a negative one: players report fractions, and may report slightly negative positions.
    func playedMilliseconds(in bytes: RawSpan) throws(MessageFault) -> Int64? {
        guard let value = fields[.playedMilliseconds] else { return nil }
        guard let number = DecimalNumber(value, in: bytes) else {
            throw fault(.invalidPlayed, field: .playedMilliseconds, in: bytes)
        }
        return Int64(clamping: number.roundedDown)
    }

    mutating func language(in bytes: RawSpan) throws(MessageFault) -> TextSlice? {
        guard let value = fields[.lang] else { return nil }
        guard value.kind == .string, value.count <= LanguageTag.maximumLength,
            withText(value, in: bytes, { LanguageTag.isWellFormed($0) })
        else {
            throw fault(.invalidLanguage, field: .lang, in: bytes)
        }
        return value.text
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A JSON object from an upstream: validated completely, then accessed by field.
///
/// The rules are those for client messages: RFC 8259 with a limited depth; the caller validates UTF-8. Real servers require three
/// exceptions:
/// - the first of duplicate keys counts
/// - `NaN` and `Infinity` (Python's `json`) are read as `null`
/// - a lone surrogate is read as U+FFFD
// Raw spans are safe here: they could only expose padding, and `UInt8` has none.
struct JSONDocument {
    private let storage: [UInt8]
    /// The first 16 members of the top-level object.
    private var members = InlineArray<16, (key: JSONValue, value: JSONValue)>(repeating: (.absent, .absent))
    private var memberCount = 0
    /// The members beyond the first 16.
    private var additionalMembers: [(key: JSONValue, value: JSONValue)] = []

    /// The maximum nesting depth.
    static let depth = 16

    init(_ bytes: RawSpan) throws(ResponseFault) {
        guard bytes.byteCount <= UInt32.max else { throw ResponseFault("the response is too long") }
        var storage: [UInt8] = []
        storage.reserveCapacity(bytes.byteCount)
        storage.append(bytesOf: bytes)
        self.storage = storage
        var reader = Self.reader(at: 0)
        reader.skipWhitespace(in: bytes)
        do throws(JSONSyntaxError) {
            guard try reader.current(in: bytes) == UInt8(ascii: "{") else { throw JSONSyntaxError(.notAnObject, at: reader.position) }
            var memberReader = MemberReader(depth: 1)
            while let member = try memberReader.next(&reader, in: bytes) {
                if memberCount < 16 {
                    members[memberCount] = member
                    memberCount += 1
                } else {
                    additionalMembers.append(member)
                }
            }
            reader.skipWhitespace(in: bytes)
            guard reader.position == bytes.byteCount else { throw JSONSyntaxError(.trailingBytes, at: reader.position) }
        } catch {
            throw ResponseFault(
                error.reason == .notAnObject ? "the response isn't a JSON object" : "the response isn't JSON",
                kind: error.reason == .unexpectedEnd ? .incomplete : .invalid)
        }
    }

    private static func reader(at position: Int) -> JSONReader {
        var reader = JSONReader(at: position, maximumDepth: depth)
        reader.acceptsNonFinite = true
        return reader
    }

    /// Calls `body` with the bytes of the document.
    func withBytes(_ body: (RawSpan) -> Void) { body(unsafe storage.span.bytes) }

    /// Returns a field of the top-level object; nil when the field is missing or `null`.
    func field(_ name: StaticString) -> JSONValue? {
        // Subscripting the array itself would copy it for each member.
        let members = members.span
        for index in 0..<memberCount where isKey(members[index].key, name) {
            let value = members[index].value
            return value.kind == .null ? nil : value
        }
        for (key, value) in additionalMembers where isKey(key, name) { return value.kind == .null ? nil : value }
        return nil
    }

    /// Returns whether a value is a string that equals `text` and is written without escapes.
    func isText(_ value: JSONValue?, _ text: StaticString) -> Bool {
        guard let value, value.kind == .string else { return false }
        return isKey(value, text)
    }

    /// Returns a field of a nested object; nil when the field is missing or `null`, or the value isn't an object.
    func field(_ name: StaticString, of object: JSONValue) -> JSONValue? {
        guard object.kind == .object else { return nil }
        let bytes = unsafe storage.span.bytes
        var reader = Self.reader(at: object.start)
        var memberReader = MemberReader(depth: 0)
        // The text was validated, so `next` doesn't throw.
        while let (key, value) = try? memberReader.next(&reader, in: bytes) {
            if isKey(key, name) { return value.kind == .null ? nil : value }
        }
        return nil
    }

    private func isKey(_ key: JSONValue, _ name: StaticString) -> Bool {
        let bytes = unsafe storage.span.bytes
        guard key.isVerbatim, key.count == name.utf8CodeUnitCount else { return false }
        for index in 0..<key.count {
            // Within the literal's count; literals live as long as the process.
            guard unsafe bytes.byte(at: key.start &+ index) == name.utf8Start[index] else { return false }
        }
        return true
    }

    /// Returns the first element of an array.
    func first(of array: JSONValue?) -> JSONValue? {
        guard let array, array.kind == .array else { return nil }
        let bytes = unsafe storage.span.bytes
        var reader = Self.reader(at: array.start &+ 1)
        reader.skipWhitespace(in: bytes)
        return try? reader.value(in: bytes, depth: 0)
    }

    /// Calls `body` with each element of an array.
    func eachElement(of array: JSONValue?, _ body: (JSONValue) -> Void) {
        guard let array, array.kind == .array else { return }
        let bytes = unsafe storage.span.bytes
        var reader = Self.reader(at: array.start &+ 1)
        reader.skipWhitespace(in: bytes)
        while let value = try? reader.value(in: bytes, depth: 0) {
            body(value)
            reader.skipWhitespace(in: bytes)
            guard (try? reader.expect(UInt8(ascii: ","), in: bytes)) != nil else { return }
            reader.skipWhitespace(in: bytes)
        }
    }

    /// Returns a string's text, sanitized like a client's, with U+FFFD for a lone surrogate; nil for other kinds of values.
    func text(_ value: JSONValue?) -> [UInt8]? {
        guard let value, value.kind == .string else { return nil }
        return value.text.bytes(in: unsafe storage.span.bytes)
    }

    /// Returns a string of at most `limit` bytes; nil for longer strings and other kinds of values.
    func string(_ value: JSONValue?, atMost limit: Int) -> String? {
        guard let value, value.count <= limit, let text = text(value) else { return nil }
        return String(validating: text, as: UTF8.self)
    }

    func flag(_ value: JSONValue?) -> Bool? {
        switch value?.kind {
        case .true: true
        case .false: false
        default: nil
        }
    }

    /// Returns a finite number; nil for other kinds of values.
    func number(_ value: JSONValue?) -> Double? {
        guard let value, value.kind == .integer || value.kind == .fraction, value.rawCount <= 64 else { return nil }
        var text: [UInt8] = []
        text.append(contentsOf: storage[value.start..<value.end])
        guard let number = Double(String(decoding: text, as: UTF8.self)), number.isFinite else { return nil }
        return number
    }

    func unsigned(_ value: JSONValue?) -> UInt64? {
        guard let value else { return nil }
        return MessageScanner.unsigned(value, in: unsafe storage.span.bytes)
    }

    /// Decodes a string as strict base64; nil for anything else.
    func base64(_ value: JSONValue) -> [UInt8]? {
        guard value.kind == .string else { return nil }
        var decoded: [UInt8] = []
        return Base64.decode(value.text, from: unsafe storage.span.bytes, into: &decoded) ? decoded : nil
    }

    /// Returns a non-negative integer, clamped to `Int64`.
    func count(_ value: JSONValue?) -> Int64? { unsigned(value).map { Int64(clamping: $0) } }

    /// Returns non-negative milliseconds, truncated to an integer.
    func milliseconds(_ value: JSONValue?) -> Int64? {
        guard let number = number(value), number >= 0 else { return nil }
        return Int64(min(number, 1e15))
    }
}

/// The reason why an upstream's response can't be used. The description is for logs and never contains text of the response.
package struct ResponseFault: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
        /// The response violates the protocol.
        case invalid
        /// The response exceeds a limit.
        case tooLong
        /// The response ends too early.
        case incomplete
        /// The response is complete but can't be used. A request can provoke this, so it doesn't count against the endpoint.
        case unusable
    }

    package let description: String
    /// The request number of the response, if it could be parsed.
    package var request: UInt64?
    package let kind: Kind

    package init(_ description: String, request: UInt64? = nil, kind: Kind = .invalid) {
        self.description = description
        self.request = request
        self.kind = kind
    }
}

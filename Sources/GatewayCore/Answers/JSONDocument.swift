/// A JSON text of an upstream: checked as a whole, then looked into by field.
///
/// The rules are those for clients (RFC 8259, depth; the caller checks UTF-8) with three exceptions that real servers need: keys may repeat, and the first
/// counts; `NaN` and `Infinity` (Python's `json`) read as `null`; half of a surrogate pair reads as U+FFFD.
// `UInt8` has no padding that could be read: that is what is unsafe about spans of raw bytes here.
struct JSONDocument {
    private let storage: [UInt8]
    /// Of the object that the text is, found on the way through it.
    private var members = InlineArray<16, (key: JSONValue, value: JSONValue)>(repeating: (.absent, .absent))
    private var memberCount = 0
    /// Those for which there is no place in ``members``.
    private var further: [(key: JSONValue, value: JSONValue)] = []

    /// The deepest nesting that is read.
    static let depth = 16

    init(_ bytes: RawSpan) throws(AnswerFault) {
        guard bytes.byteCount <= UInt32.max else { throw AnswerFault("the answer is too long") }
        var storage: [UInt8] = []
        storage.reserveCapacity(bytes.byteCount)
        storage.append(bytesOf: bytes)
        self.storage = storage
        var reader = Self.reader(at: 0)
        reader.skipWhitespace(in: bytes)
        do throws(JSONSyntaxError) {
            guard try reader.current(in: bytes) == UInt8(ascii: "{") else { throw JSONSyntaxError(.notAnObject, at: reader.position) }
            var walk = MemberReader(depth: 1)
            while let member = try walk.next(&reader, in: bytes) {
                if memberCount < 16 {
                    members[memberCount] = member
                    memberCount += 1
                } else {
                    further.append(member)
                }
            }
            reader.skipWhitespace(in: bytes)
            guard reader.position == bytes.byteCount else { throw JSONSyntaxError(.trailingBytes, at: reader.position) }
        } catch {
            throw AnswerFault(
                error.reason == .notAnObject ? "the answer isn't a JSON object" : "the answer isn't JSON",
                kind: error.reason == .unexpectedEnd ? .incomplete : .invalid)
        }
    }

    private static func reader(at position: Int) -> JSONReader {
        var reader = JSONReader(at: position, maximumDepth: depth)
        reader.takesNonFinite = true
        return reader
    }

    /// Lends the text.
    func withBytes(_ body: (RawSpan) -> Void) { body(unsafe storage.span.bytes) }

    /// A field of the object that the text is; nil when it isn't there or `null`.
    func field(_ name: StaticString) -> JSONValue? {
        // A subscript of the array itself would copy all of it, once for each member.
        let members = members.span
        for index in 0..<memberCount where isKey(members[index].key, name) {
            let value = members[index].value
            return value.kind == .null ? nil : value
        }
        for (key, value) in further where isKey(key, name) { return value.kind == .null ? nil : value }
        return nil
    }

    /// Whether a value is a string with this text, written without escapes.
    func isText(_ value: JSONValue?, _ text: StaticString) -> Bool {
        guard let value, value.kind == .string else { return false }
        return isKey(value, text)
    }

    /// A field of an object inside; nil when that isn't an object.
    func field(_ name: StaticString, of object: JSONValue) -> JSONValue? {
        guard object.kind == .object else { return nil }
        let bytes = unsafe storage.span.bytes
        var reader = Self.reader(at: object.start)
        var walk = MemberReader(depth: 0)
        // The text was found whole.
        while let (key, value) = try? walk.next(&reader, in: bytes) {
            if isKey(key, name) { return value.kind == .null ? nil : value }
        }
        return nil
    }

    private func isKey(_ key: JSONValue, _ name: StaticString) -> Bool {
        let bytes = unsafe storage.span.bytes
        guard key.isVerbatim, key.count == name.utf8CodeUnitCount else { return false }
        for index in 0..<key.count {
            // Below the literal's own count; literals live as long as the process.
            guard unsafe bytes.byte(at: key.start &+ index) == name.utf8Start[index] else { return false }
        }
        return true
    }

    /// The first element of an array.
    func first(of array: JSONValue?) -> JSONValue? {
        guard let array, array.kind == .array else { return nil }
        let bytes = unsafe storage.span.bytes
        var reader = Self.reader(at: array.start &+ 1)
        reader.skipWhitespace(in: bytes)
        return try? reader.value(in: bytes, depth: 0)
    }

    /// The elements of an array.
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

    /// A string's text, sanitized as a client's is, with U+FFFD for half of a surrogate pair; nil for anything else.
    func text(_ value: JSONValue?) -> [UInt8]? {
        guard let value, value.kind == .string else { return nil }
        return value.text.bytes(in: unsafe storage.span.bytes)
    }

    /// A string of at most so many bytes.
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

    /// A number, whole or not.
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

    /// Base64 of a string, strictly; nil for anything else.
    func base64(_ value: JSONValue) -> [UInt8]? {
        guard value.kind == .string else { return nil }
        var decoded: [UInt8] = []
        return Base64.decode(value.text, from: unsafe storage.span.bytes, into: &decoded) ? decoded : nil
    }

    /// A whole number that isn't negative, held within 63 bits.
    func count(_ value: JSONValue?) -> Int64? { unsigned(value).map { Int64(clamping: $0) } }

    /// Milliseconds; fractions are dropped.
    func milliseconds(_ value: JSONValue?) -> Int64? {
        guard let number = number(value), number >= 0 else { return nil }
        return Int64(min(number, 1e15))
    }
}

/// An answer of an upstream breaks its protocol. The text is for logs, and never holds anything of the answer.
package struct AnswerFault: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
        /// The answer breaks the rules.
        case invalid
        /// The answer is longer than a bound.
        case tooLong
        /// The answer ends too early.
        case incomplete
        /// The answer arrived whole and can't be used. A request can provoke that, so it says nothing about the endpoint.
        case unusable
    }

    package let description: String
    /// The request that it is an answer to, if that could be read.
    package var request: UInt64?
    package let kind: Kind

    package init(_ description: String, request: UInt64? = nil, kind: Kind = .invalid) {
        self.description = description
        self.request = request
        self.kind = kind
    }
}

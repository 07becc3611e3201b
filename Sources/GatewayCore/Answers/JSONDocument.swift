/// A JSON text of an upstream: checked as a whole, then looked into by field.
///
/// As strict as with clients (RFC 8259, depth, UTF-8 by whoever hands it over, no lone surrogate where it matters), but for keys, which may
/// repeat: the first counts.
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
        var reader = JSONReader(at: 0, maximumDepth: Self.depth)
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
            throw AnswerFault(error.reason == .notAnObject ? "the answer isn't a JSON object" : "the answer isn't JSON")
        }
    }

    /// A field of the object that the text is; nil when it isn't there or `null`.
    func field(_ name: StaticString) -> JSONValue? {
        for index in 0..<memberCount where isKey(members[index].key, name) {
            return members[index].value.kind == .null ? nil : members[index].value
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
        var reader = JSONReader(at: object.start, maximumDepth: Self.depth)
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
        var reader = JSONReader(at: array.start &+ 1, maximumDepth: Self.depth)
        reader.skipWhitespace(in: bytes)
        return try? reader.value(in: bytes, depth: 0)
    }

    /// The elements of an array.
    func eachElement(of array: JSONValue?, _ body: (JSONValue) -> Void) {
        guard let array, array.kind == .array else { return }
        let bytes = unsafe storage.span.bytes
        var reader = JSONReader(at: array.start &+ 1, maximumDepth: Self.depth)
        reader.skipWhitespace(in: bytes)
        while let value = try? reader.value(in: bytes, depth: 0) {
            body(value)
            reader.skipWhitespace(in: bytes)
            guard (try? reader.expect(UInt8(ascii: ","), in: bytes)) != nil else { return }
            reader.skipWhitespace(in: bytes)
        }
    }

    /// A string's text, sanitized as a client's is; nil for anything else.
    func text(_ value: JSONValue?) -> [UInt8]? {
        guard let value, value.kind == .string, !value.hasLoneSurrogate else { return nil }
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
    package let description: String
    /// The request that it is an answer to, if that could be read.
    package var request: UInt64?
    /// It is right as far as it went, but over a bound.
    package let isTooLong: Bool

    package init(_ description: String, request: UInt64? = nil, isTooLong: Bool = false) {
        self.description = description
        self.request = request
        self.isTooLong = isTooLong
    }
}

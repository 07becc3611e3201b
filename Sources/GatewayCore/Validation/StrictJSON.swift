// SPDX-License-Identifier: Apache-2.0

/// A small JSON object that was validated completely, then accessed by member: a token's header or claims, a key set.
///
/// RFC 8259 without exceptions: valid UTF-8, distinct members in every object, no lone surrogates, a depth of at most ``depth``.
/// Members are compared unescaped. Accessors expect values of the same document.
struct StrictJSON: Sendable {
    enum Fault: Error {
        case invalid
        case duplicateMember
    }

    /// The maximum nesting depth, where the object itself is 1.
    static let depth = 16

    private let storage: [UInt8]
    /// The object.
    let root: JSONValue

    init(_ bytes: [UInt8]) throws(Fault) {
        do throws(JSONSyntaxError) {
            // `UInt8` has no padding that could be read; the same holds below.
            root = try Self.root(of: unsafe bytes.span.bytes)
        } catch {
            throw error.reason == .duplicateKey ? .duplicateMember : .invalid
        }
        storage = bytes
    }

    private static func root(of bytes: RawSpan) throws(JSONSyntaxError) -> JSONValue {
        guard bytes.byteCount <= UInt32.max, UTF8Validator.isValid(bytes) else { throw JSONSyntaxError(.unexpectedByte, at: 0) }
        var reader = JSONReader(at: 0, maximumDepth: depth)
        reader.skipWhitespace(in: bytes)
        guard try reader.current(in: bytes) == UInt8(ascii: "{") else { throw JSONSyntaxError(.notAnObject, at: reader.position) }
        let root = try reader.value(in: bytes, depth: 0)
        reader.skipWhitespace(in: bytes)
        guard reader.position == bytes.byteCount else { throw JSONSyntaxError(.trailingBytes, at: reader.position) }
        try check(root, in: bytes)
        return root
    }

    /// Checks that members are distinct and that no string has a lone surrogate. The syntax and the depth, which bounds the recursion, were
    /// checked.
    private static func check(_ value: JSONValue, in bytes: RawSpan) throws(JSONSyntaxError) {
        switch value.kind {
        case .string where value.hasLoneSurrogate: throw JSONSyntaxError(.loneSurrogate, at: value.start)
        case .object:
            var keys = KeySet()
            var reader = JSONReader(at: value.start, maximumDepth: depth)
            var members = MemberReader(depth: 0)
            while let (key, member) = try members.next(&reader, in: bytes) {
                guard keys.insert(key.text, in: bytes) else { throw JSONSyntaxError(.duplicateKey, at: key.start) }
                try check(member, in: bytes)
            }
        case .array:
            for element in elements(of: value, in: bytes) { try check(element, in: bytes) }
        default: break
        }
    }

    static func elements(of array: JSONValue, in bytes: RawSpan) -> [JSONValue] {
        var elements: [JSONValue] = []
        var reader = JSONReader(at: array.start &+ 1, maximumDepth: depth)
        reader.skipWhitespace(in: bytes)
        // The syntax was checked, so an empty array is the only one whose first value can't be read.
        while let value = try? reader.value(in: bytes, depth: 0) {
            elements.append(value)
            reader.skipWhitespace(in: bytes)
            guard (try? reader.expect(UInt8(ascii: ","), in: bytes)) != nil else { break }
            reader.skipWhitespace(in: bytes)
        }
        return elements
    }

    // MARK: Access

    /// Returns the members of an object in order, with their unescaped names; nil for other kinds of values.
    func members(of object: JSONValue) -> [(name: String, value: JSONValue)]? {
        guard object.kind == .object else { return nil }
        let bytes = unsafe storage.span.bytes
        var members: [(name: String, value: JSONValue)] = []
        var reader = JSONReader(at: object.start, maximumDepth: Self.depth)
        var memberReader = MemberReader(depth: 0)
        // The syntax was checked, so `next` doesn't throw.
        while let (key, value) = try? memberReader.next(&reader, in: bytes) { members.append((text(key), value)) }
        return members
    }

    /// Returns the member of the object; nil when it is absent. A member that is `null` is returned.
    func member(_ name: String) -> JSONValue? { members(of: root)?.first { $0.name == name }?.value }

    /// Returns the elements of an array; nil for other kinds of values.
    func elements(of array: JSONValue) -> [JSONValue]? {
        guard array.kind == .array else { return nil }
        return Self.elements(of: array, in: unsafe storage.span.bytes)
    }

    /// Returns the unescaped string, with all its characters; nil for other kinds of values.
    func string(_ value: JSONValue) -> String? { value.kind == .string ? text(value) : nil }

    /// Returns the string unescaped and sanitized; nil for other kinds of values.
    func sanitizedString(_ value: JSONValue) -> String? {
        guard value.kind == .string else { return nil }
        return String(decoding: value.text.bytes(in: unsafe storage.span.bytes), as: UTF8.self)
    }

    /// Returns a finite number whose notation has at most 64 characters; nil for other values.
    func number(_ value: JSONValue) -> Double? {
        guard value.kind == .integer || value.kind == .fraction, value.rawCount <= 64 else { return nil }
        guard let number = Double(String(decoding: source(of: value), as: UTF8.self)), number.isFinite else { return nil }
        return number
    }

    /// Returns the elements of an array of at most `count` strings, each of 1 to `size` bytes; nil for other values.
    func strings(_ value: JSONValue, atMost count: Int, ofBytes size: Int) -> [String]? {
        guard let elements = elements(of: value), elements.count <= count else { return nil }
        let strings = elements.compactMap { string($0) }
        return strings.count == elements.count && strings.allSatisfy { (1...size).contains($0.utf8.count) } ? strings : nil
    }

    /// Returns the JSON text of a value; of a string, what is between the quotes.
    func source(of value: JSONValue) -> ArraySlice<UInt8> { storage[value.start..<value.end] }

    private func text(_ value: JSONValue) -> String {
        var bytes: [UInt8] = []
        value.text.append(sanitized: false, to: &bytes, from: unsafe storage.span.bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

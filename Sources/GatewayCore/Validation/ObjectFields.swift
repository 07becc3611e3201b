// SPDX-License-Identifier: Apache-2.0

/// The known fields of one object in any order, found in one pass.
struct ObjectFields {
    /// The fields present, including those that are `null`.
    private(set) var seen: FieldSet = []
    /// The fields that are strings with a lone surrogate.
    private(set) var withLoneSurrogate: FieldSet = []
    /// The first unknown key.
    private(set) var firstUnknown: TextSlice?
    /// One value for each name, valid only for names in `seen`; values of earlier messages aren't cleared. An array instead of inline
    /// storage, because the compiler copies a struct of that size repeatedly.
    private var values = [JSONValue](repeating: .absent, count: FieldName.allCases.count)

    /// The value of a field; nil when absent or `null`.
    @inline(__always)
    subscript(name: FieldName) -> JSONValue? {
        guard seen.contains(name) else { return nil }
        let value = values[Int(name.rawValue)]
        return value.kind == .null ? nil : value
    }

    /// Returns the first field of `names` in the object and the offset of its value; nil when none is present.
    func firstOffset(of names: FieldSet) -> (name: FieldName, offset: Int)? {
        guard !names.isEmpty else { return nil }
        var first: (name: FieldName, offset: Int)?
        for name in FieldName.allCases where names.contains(name) && seen.contains(name) {
            let offset = values[Int(name.rawValue)].start
            if offset < first?.offset ?? .max { first = (name, offset) }
        }
        return first
    }

    /// Removes all fields.
    mutating func reset() {
        seen = []
        withLoneSurrogate = []
        firstUnknown = nil
    }

    /// Reads and checks the object that opens at the reader's position at this depth, including the uniqueness of its keys.
    ///
    /// - Parameter known: the known names of this object; all others are unknown keys
    mutating func read(
        _ reader: inout JSONReader, in bytes: RawSpan, depth: Int, known: FieldSet, keys: inout KeySet
    ) throws(JSONSyntaxError) {
        reset()
        keys.removeAll()
        var members = MemberReader(depth: depth)
        while let (key, value) = try members.next(&reader, in: bytes) {
            if let name = Self.name(of: key, in: bytes), known.contains(name) {
                guard !seen.contains(name) else { throw JSONSyntaxError(.duplicateKey, at: key.start) }
                seen.formUnion(FieldSet(name))
                if value.hasLoneSurrogate { withLoneSurrogate.formUnion(FieldSet(name)) }
                values[Int(name.rawValue)] = value
            } else {
                guard keys.insert(key.text, in: bytes) else { throw JSONSyntaxError(.duplicateKey, at: key.start) }
                if firstUnknown == nil { firstUnknown = key.text }
            }
        }
    }

    @inline(__always)
    private static func name(of key: JSONValue, in bytes: RawSpan) -> FieldName? {
        if key.isVerbatim {
            guard let text = ShortText(bytes, start: key.start, count: key.count) else { return nil }
            return FieldName(text)
        }
        return escapedName(of: key, in: bytes)
    }

    /// Returns the name of a key with escapes: `"\u0074ype"` is `type`.
    private static func escapedName(of key: JSONValue, in bytes: RawSpan) -> FieldName? {
        guard key.rawCount <= ShortText.maximumCount &* 6 else { return nil }
        var name: [UInt8] = []
        key.text.append(sanitized: false, to: &name, from: bytes)
        // `UInt8` has no padding that could be read.
        return ShortText(unsafe name.span.bytes, start: 0, count: name.count).flatMap { FieldName($0) }
    }
}

/// An iterator over the members of an object.
struct MemberReader {
    private let depth: Int
    private var isFirst = true

    /// - Parameter depth: the depth of the object, 1 for the message itself
    init(depth: Int) {
        self.depth = depth
    }

    /// Reads the next key and value; nil after the closing brace. The first call starts at the opening brace.
    @inline(__always)
    mutating func next(_ reader: inout JSONReader, in bytes: RawSpan) throws(JSONSyntaxError) -> (key: JSONValue, value: JSONValue)? {
        if isFirst {
            try reader.expect(UInt8(ascii: "{"), in: bytes)
            reader.skipWhitespace(in: bytes)
            isFirst = false
            if try reader.current(in: bytes) == UInt8(ascii: "}") {
                reader.position &+= 1
                return nil
            }
        } else {
            switch try reader.current(in: bytes) {
            case UInt8(ascii: ","):
                reader.position &+= 1
                reader.skipWhitespace(in: bytes)
            case UInt8(ascii: "}"):
                reader.position &+= 1
                return nil
            default: throw JSONSyntaxError(.unexpectedByte, at: reader.position)
            }
        }
        let key = try reader.key(in: bytes)
        guard !key.hasLoneSurrogate else { throw JSONSyntaxError(.loneSurrogate, at: key.start) }
        let value = try reader.value(in: bytes, depth: depth)
        reader.skipWhitespace(in: bytes)
        return (key, value)
    }
}

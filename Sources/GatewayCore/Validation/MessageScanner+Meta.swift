// SPDX-License-Identifier: Apache-2.0

extension MessageScanner {
    /// Reads the entries of `meta`, an object whose syntax was checked. Syntax errors take precedence over violations of the rules, so the
    /// first violation is stored in `metaFault` until all entries are read.
    mutating func readMeta(_ value: JSONValue, in bytes: RawSpan) throws(JSONSyntaxError) {
        keys.removeAll()
        var reader = JSONReader(at: value.start, maximumDepth: ValidationRules.maximumNesting)
        var members = MemberReader(depth: 2)
        while let (key, value) = try members.next(&reader, in: bytes) {
            guard keys.insert(key.text, in: bytes) else { throw JSONSyntaxError(.duplicateKey, at: key.start) }
            if value.hasLoneSurrogate { throw JSONSyntaxError(.loneSurrogate, at: value.start) }
            guard metaFault == nil else { continue }
            metaFault = entryFault(key: key, value: value, in: bytes)
            if metaFault == nil { meta.append(ClientMessage.MetaEntry(key: key.text, value: value.text)) }
        }
    }

    /// Returns the entries read; empty without `meta`.
    mutating func metaEntries(_ bytes: RawSpan) throws(MessageFault) -> [ClientMessage.MetaEntry] {
        guard let value = fields[.meta] else { return [] }
        guard value.kind == .object else { throw fault(.metaNotObject, field: .meta, in: bytes) }
        switch metaFault {
        case nil: return meta
        case .tooMany: throw fault(.tooManyMetaEntries, field: .meta, in: bytes)
        case .key(let offset):
            var fault = fault(.invalidMetaKey, field: .meta, in: bytes)
            fault.offset = offset
            throw fault
        case .value(let key):
            throw MessageFault(
                .invalidMetaValue,
                param: JSONPointer.string(to: key, in: "/meta", of: bytes), replyTo: replyTo(in: bytes), offset: key.start)
        }
    }

    private func entryFault(key: JSONValue, value: JSONValue, in bytes: RawSpan) -> MetaFault? {
        if meta.count == 16 { return .tooMany }
        guard Self.isMetaKey(key, in: bytes) else { return .key(at: key.start) }
        return value.kind == .string && value.count <= 1000 ? nil : .value(of: key.text)
    }

    /// Returns whether the unescaped key is 1–64 characters of `[A-Za-z0-9_.-]`.
    private static func isMetaKey(_ key: JSONValue, in bytes: RawSpan) -> Bool {
        guard key.rawCount <= 64 * 6 else { return false }
        if key.isVerbatim { return isMetaKey(bytes.extracting(key.start..<key.end)) }
        var unescaped: [UInt8] = []
        key.text.append(sanitized: false, to: &unescaped, from: bytes)
        // `UInt8` has no padding that could be read.
        return isMetaKey(unsafe unescaped.span.bytes)
    }

    /// Returns whether the text is 1–64 characters of `[A-Za-z0-9_.-]`.
    static func isMetaKey(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= 1, bytes.byteCount <= 64 else { return false }
        for offset in 0..<bytes.byteCount {
            // The characters of ids, except for the colon.
            let byte = bytes.byte(at: offset)
            guard MessageID.isAllowed(byte), byte != UInt8(ascii: ":") else { return false }
        }
        return true
    }
}

// SPDX-License-Identifier: Apache-2.0

/// One hop of a request, as a proxy announced it: an element of `Forwarded` (RFC 7239 §4) or `X-Forwarded-For`.
struct ForwardedHop: Sendable, Equatable {
    /// Nil for `unknown`, an obfuscated identifier, an element without an address and a malformed one.
    var address: NetworkAddress?
    var port: UInt16?
    /// The value of `proto` in lower case; nil if the element has none or is malformed.
    var scheme: String?

    private enum Byte {
        static let quote: UInt8 = 0x22
        static let backslash: UInt8 = 0x5C
        static let comma: UInt8 = 0x2C
        static let semicolon: UInt8 = 0x3B
        static let equals: UInt8 = 0x3D
        static let colon: UInt8 = 0x3A
        static let bracket: UInt8 = 0x5B
        static let closingBracket: UInt8 = 0x5D
    }

    /// Returns the hops of `Forwarded`, the last one first.
    ///
    /// Elements are separated from the right: what a client wrote into the field before the proxy appended its element, such as an opening
    /// quotation mark, can't change the meaning of that element.
    static func forwarded(_ fields: [String]) -> [ForwardedHop] {
        fields.reversed().flatMap { elementsFromRight(of: $0) }.map { ForwardedHop(forwarded: $0) }
    }

    /// Returns the hops of `X-Forwarded-For`, the last one first. Empty elements are ignored (RFC 9110 §5.6.1.2).
    static func forwardedFor(_ fields: [String]) -> [ForwardedHop] {
        fields.reversed().flatMap { $0.utf8.split(separator: Byte.comma).reversed() }.map { trimmed(Array($0)[...]) }
            .filter { !$0.isEmpty }.map { element in
                var hop = ForwardedHop()
                hop.read(node: element, allowsBareIPv6: true)
                return hop
            }
    }

    init() {}

    /// Parses an element of `Forwarded`: pairs such as `for="[2001:db8::1]:4711"` separated by semicolons, each name at most once.
    private init(forwarded element: ArraySlice<UInt8>) {
        self.init()
        guard let pairs = Self.pairs(of: element), Set(pairs.map(\.name)).count == pairs.count else { return }
        for (name, value) in pairs {
            switch name {
            case "for": read(node: value[...], allowsBareIPv6: false)
            case "proto": scheme = Self.lowercased(value[...])
            default: break
            }
        }
    }

    /// Reads `192.0.2.1`, `[2001:db8::1]`, either with a port, and on request `2001:db8::1`. Any other text is no address.
    private mutating func read(node: ArraySlice<UInt8>, allowsBareIPv6: Bool) {
        var (host, rest) = (node, node.suffix(0))
        if node.first == Byte.bracket {
            guard let end = node.firstIndex(of: Byte.closingBracket) else { return }
            (host, rest) = (node[..<end].dropFirst(), node[end...].dropFirst())
            guard host.contains(Byte.colon) else { return }
        } else if let colon = node.firstIndex(of: Byte.colon), !(allowsBareIPv6 && node[colon...].dropFirst().contains(Byte.colon)) {
            (host, rest) = (node[..<colon], node[colon...])
            guard host.contains(0x2E) else { return }
        }
        guard let parsed = NetworkAddress(String(decoding: host, as: UTF8.self)) else { return }
        if let first = rest.first {
            let digits = rest.dropFirst()
            guard first == Byte.colon, !digits.isEmpty else { return }
            // A port may be obfuscated (RFC 7239 §6.3).
            if digits.first != 0x5F {
                guard digits.count <= 5, digits.allSatisfy({ 0x30...0x39 ~= $0 }),
                    let number = UInt16(String(decoding: digits, as: UTF8.self))
                else { return }
                port = number
            }
        }
        address = parsed
    }

    // MARK: Grammar

    private static func elementsFromRight(of field: String) -> [ArraySlice<UInt8>] {
        let bytes = Array(field.utf8)
        var elements: [ArraySlice<UInt8>] = []
        var end = bytes.endIndex
        var isQuoted = false
        for index in bytes.indices.reversed() {
            switch bytes[index] {
            case Byte.quote where isQuoted:
                // Inside of a quoted string, an odd number of backslashes escapes the quotation mark.
                let escapes = bytes[..<index].reversed().prefix { $0 == Byte.backslash }.count
                if escapes.isMultiple(of: 2) { isQuoted = false }
            case Byte.quote: isQuoted = true
            case Byte.comma where !isQuoted:
                elements.append(trimmed(bytes[index + 1..<end]))
                end = index
            default: break
            }
        }
        elements.append(trimmed(bytes[..<end]))
        return elements.filter { !$0.isEmpty }
    }

    /// Parses `name=value` pairs, their names in lower case; nil if malformed.
    private static func pairs(of element: ArraySlice<UInt8>) -> [(name: String, value: [UInt8])]? {
        var pairs: [(name: String, value: [UInt8])] = []
        var rest = element
        while true {
            guard let equals = rest.firstIndex(of: Byte.equals) else { return nil }
            let name = trimmed(rest[..<equals])
            guard !name.isEmpty, name.allSatisfy({ 0x61...0x7A ~= $0 | 0x20 || $0 == 0x2D || $0 == 0x5F }) else { return nil }
            rest = rest[equals...].dropFirst()
            guard let value = value(&rest) else { return nil }
            pairs.append((lowercased(name), value))
            rest = trimmed(rest)
            guard let separator = rest.popFirst() else { return pairs }
            guard separator == Byte.semicolon else { return nil }
            rest = trimmed(rest)
        }
    }

    /// Consumes a token or a quoted string (RFC 9110 §5.6.4) and returns its content; nil if malformed. Tokens may contain colons and
    /// brackets, which RFC 7239 §4 requires to be quoted, because some proxies don't quote them.
    private static func value(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        guard rest.first == Byte.quote else {
            let token = rest.prefix { $0 > 0x20 && $0 < 0x7F && $0 != Byte.semicolon && $0 != Byte.quote && $0 != Byte.equals }
            rest = rest.dropFirst(token.count)
            return token.isEmpty ? nil : Array(token)
        }
        rest = rest.dropFirst()
        var content: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case Byte.quote: return content
            case Byte.backslash:
                guard let escaped = rest.popFirst() else { return nil }
                content.append(escaped)
            default: content.append(byte)
            }
        }
        return nil
    }

    static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var text = text
        while let first = text.first, first == 0x20 || first == 0x09 { text.removeFirst() }
        while let last = text.last, last == 0x20 || last == 0x09 { text.removeLast() }
        return text
    }

    static func lowercased(_ text: ArraySlice<UInt8>) -> String {
        String(decoding: text.map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The grammar of a Host header: a host and an optional port (RFC 9110 §7.2).
package enum HostGrammar {
    /// A DNS name has at most 253 characters; a port adds six.
    package static let maximumBytes = 253 + 6

    package static func isValid(_ value: Substring) -> Bool {
        guard !value.isEmpty, value.utf8.count <= maximumBytes else { return false }
        var rest = value.utf8[...]
        if rest.first == 0x5B {
            guard let end = rest.firstIndex(of: 0x5D) else { return false }
            let address = rest[rest.index(after: rest.startIndex)..<end]
            // Only the characters are checked: hexadecimal digits, colons, and dots for an embedded IPv4 address. The resolver validates
            // the address.
            guard address.count >= 2, address.contains(0x3A), address.allSatisfy(isAddressCharacter) else { return false }
            rest = rest[rest.index(after: end)...]
        } else {
            let end = rest.firstIndex(of: 0x3A) ?? rest.endIndex
            guard end > rest.startIndex, rest[..<end].allSatisfy(isNameCharacter) else { return false }
            rest = rest[end...]
        }
        guard !rest.isEmpty else { return true }
        // The grammar allows an empty port: "host:".
        guard rest.removeFirst() == 0x3A, rest.count <= 5, rest.allSatisfy({ 0x30...0x39 ~= $0 }) else { return false }
        return rest.isEmpty || UInt16(Substring(rest)) != nil
    }

    private static func isAddressCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66, 0x3A, 0x2E: true
        default: false
        }
    }

    /// Returns whether `byte` is a letter, a digit or one of `-._~`, the characters of names in practice. Sub-delims and percent-encoding,
    /// which RFC 3986 also allows, aren't supported.
    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
        default: false
        }
    }
}

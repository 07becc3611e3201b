// SPDX-License-Identifier: Apache-2.0

/// The grammar of header fields, as far as the upgrade needs it (RFC 9110 §5.6).
package enum HeaderGrammar {
    /// Returns whether `byte` is a `tchar`, a character of a token.
    package static func isTokenCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        // ! # $ % & ' * + - . ^ _ ` | ~
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: true
        default: false
        }
    }

    package static func isToken(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy(isTokenCharacter)
    }

    package static func isWhitespace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Returns the non-empty elements of a comma-separated list in one or several fields (RFC 9110 §5.6.1.2).
    package static func elements(of fields: [String]) -> [Substring] {
        fields.flatMap { $0.utf8.split(separator: 0x2C).map { trimmed(Substring($0)) } }.filter { !$0.isEmpty }
    }

    package static func trimmed(_ text: Substring) -> Substring {
        var bytes = text.utf8
        while let first = bytes.first, isWhitespace(first) { bytes.removeFirst() }
        while let last = bytes.last, isWhitespace(last) { bytes.removeLast() }
        return Substring(bytes)
    }

    /// Returns whether the list contains `element`, ignoring the case of ASCII letters.
    package static func list(_ fields: [String], contains element: String) -> Bool {
        elements(of: fields).contains { equal($0, element) }
    }

    /// Returns whether two texts are equal, ignoring only the case of ASCII letters.
    package static func equal(_ left: some StringProtocol, _ right: some StringProtocol) -> Bool {
        left.utf8.count == right.utf8.count && zip(left.utf8, right.utf8).allSatisfy { lowercased($0) == lowercased($1) }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        0x41...0x5A ~= byte ? byte | 0x20 : byte
    }
}

/// White space of all scripts in UTF-8: Unicode's `White_Space`, and the marks that take no room.
extension [UInt8] {
    /// Without the white space at both ends. The bytes are valid UTF-8.
    package var trimmed: [UInt8] {
        let scalars = String(decoding: self, as: UTF8.self).unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.isBlank }), let last = scalars.lastIndex(where: { !$0.isBlank }) else {
            return []
        }
        return Array(String(scalars[first...last]).utf8)
    }

    /// Nothing but white space.
    package var isBlank: Bool { String(decoding: self, as: UTF8.self).unicodeScalars.allSatisfy(\.isBlank) }
}

extension Unicode.Scalar {
    /// U+200B zero width space, U+2060 word joiner and U+FEFF aren't `White_Space`, and yet nothing to read.
    fileprivate var isBlank: Bool { properties.isWhitespace || [0x200B, 0x2060, 0xFEFF].contains(value) }
}

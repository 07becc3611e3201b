// SPDX-License-Identifier: Apache-2.0

/// White space in UTF-8: Unicode's `White_Space` property and zero-width characters.
extension [UInt8] {
    /// The text without white space at both ends. The text must be valid UTF-8.
    package var trimmed: [UInt8] {
        let scalars = String(decoding: self, as: UTF8.self).unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.isBlank }), let last = scalars.lastIndex(where: { !$0.isBlank }) else {
            return []
        }
        return Array(String(scalars[first...last]).utf8)
    }

    /// Whether the text consists of white space only.
    package var isBlank: Bool { String(decoding: self, as: UTF8.self).unicodeScalars.allSatisfy(\.isBlank) }
}

extension Unicode.Scalar {
    /// Whether the scalar is white space or invisible: U+200B zero width space, U+2060 word joiner and U+FEFF aren't `White_Space`.
    fileprivate var isBlank: Bool { properties.isWhitespace || [0x200B, 0x2060, 0xFEFF].contains(value) }
}

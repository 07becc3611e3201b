// SPDX-License-Identifier: Apache-2.0

/// The number of terminal columns that text occupies.
///
/// Characters of East Asian Width W and F (Unicode Standard Annex #11) and emoji are two columns wide; combining marks and format characters
/// have no width. Ambiguous characters are narrow, as on terminals outside East Asian locales.
package enum DisplayWidth {
    package static func of(_ character: Character) -> Int {
        var width = 0
        for scalar in character.unicodeScalars {
            // Variation selector 16 requests emoji presentation.
            if scalar == "\u{FE0F}", width == 1 { return 2 }
            // Flags are pairs of regional indicators, and joined emoji are one glyph: the widest scalar counts.
            width = max(width, of(scalar))
        }
        return width
    }

    package static func of(_ text: some StringProtocol) -> Int { text.reduce(0) { $0 + of($1) } }

    private static func of(_ scalar: Unicode.Scalar) -> Int {
        if scalar.value < 0x300 { return scalar.value < 0x20 || 0x7F..<0xA0 ~= scalar.value || scalar.value == 0xAD ? 0 : 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control, .lineSeparator, .paragraphSeparator: return 0
        default: break
        }
        // Hangul vowels and final consonants are drawn in the cells of the initial consonant.
        if 0x1160...0x11FF ~= scalar.value { return 0 }
        return isWide(scalar) ? 2 : 1
    }

    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF, 0xA960...0xA97F,
        0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF,
        0x1AFF0...0x1B2FF, 0x1F200...0x1F265, 0x20000...0x3FFFD,
    ]

    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isEmojiPresentation || wide.contains { $0.contains(scalar.value) }
    }
}

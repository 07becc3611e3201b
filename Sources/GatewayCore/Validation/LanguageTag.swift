/// Language tags as BCP 47 writes them.
package enum LanguageTag {
    /// The longest tag taken.
    package static let maximumLength = 64

    /// Whether the bytes are a well-formed tag of at most 64 characters: the grammar of RFC 5646 §2.1, without the registry.
    package static func isWellFormed(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= 1, bytes.byteCount <= maximumLength else { return false }
        var tag = Subtags(bytes)
        return tag.isLanguageTag() || isIrregular(bytes)
    }

    /// The grandfathered tags that the grammar doesn't cover (RFC 5646 §2.1, `irregular`); those called regular are covered.
    private static func isIrregular(_ bytes: RawSpan) -> Bool {
        let irregular: [StaticString] = [
            "en-gb-oed", "i-ami", "i-bnn", "i-default", "i-enochian", "i-hak", "i-klingon", "i-lux", "i-mingo", "i-navajo", "i-pwn",
            "i-tao",
            "i-tay", "i-tsu", "sgn-be-fr", "sgn-be-nl", "sgn-ch-de",
        ]
        return irregular.contains { tag in
            guard tag.utf8CodeUnitCount == bytes.byteCount else { return false }
            for index in 0..<bytes.byteCount {
                let byte = bytes.byte(at: index)
                let lower = byte &- 0x41 < 26 ? byte | 0x20 : byte
                // Below the literal's own count; literals live as long as the process.
                if unsafe lower != tag.utf8Start[index] { return false }
            }
            return true
        }
    }
}

/// The subtags of a tag, each a length, whether it holds digits or letters, and its first character.
///
/// A tag has at most 32 of them within the length that is allowed.
private struct Subtags {
    private struct Subtag {
        var count = 0
        var digits = 0
        var letters = 0
        var first: UInt8 = 0

        /// Letters and digits only.
        var isAlphanumeric: Bool { count >= 1 && digits + letters == count }
        var isAlphabetic: Bool { count >= 1 && letters == count }
    }

    private var subtags: InlineArray<33, Subtag> = .init(repeating: Subtag())
    private var count = 1
    private var next = 0

    init(_ bytes: RawSpan) {
        for index in 0..<bytes.byteCount {
            let byte = bytes.byte(at: index)
            if byte == UInt8(ascii: "-") {
                // More subtags than fit are empty ones among them; the last stays empty, and the tag is refused.
                if count == subtags.count { break }
                count += 1
                continue
            }
            if subtags[count - 1].count == 0 { subtags[count - 1].first = byte }
            subtags[count - 1].count += 1
            if byte &- 0x30 < 10 { subtags[count - 1].digits += 1 }
            if (byte | 0x20) &- 0x61 < 26 { subtags[count - 1].letters += 1 }
        }
    }

    /// Takes the next subtag if it is such a one.
    private mutating func take(_ isWanted: (Subtag) -> Bool) -> Bool {
        guard next < count, isWanted(subtags[next]) else { return false }
        next += 1
        return true
    }

    mutating func isLanguageTag() -> Bool {
        if !takePrivateUse() {
            guard takeLanguage() else { return false }
            _ = take { $0.isAlphabetic && $0.count == 4 }
            _ = take { $0.isAlphabetic && $0.count == 2 || $0.digits == 3 && $0.count == 3 }
            while take({ $0.isAlphanumeric && (5...8 ~= $0.count || $0.count == 4 && $0.first &- 0x30 < 10) }) {}
            while takeExtension() {}
            _ = takePrivateUse()
        }
        return next == count
    }

    /// `2*3ALPHA` with up to three extended languages of three letters, or `4*8ALPHA`.
    private mutating func takeLanguage() -> Bool {
        if take({ $0.isAlphabetic && 4...8 ~= $0.count }) { return true }
        guard take({ $0.isAlphabetic && 2...3 ~= $0.count }) else { return false }
        for _ in 0..<3 where !take({ $0.isAlphabetic && $0.count == 3 }) { break }
        return true
    }

    private mutating func takeExtension() -> Bool {
        guard take({ $0.isAlphanumeric && $0.count == 1 && $0.first | 0x20 != UInt8(ascii: "x") }) else { return false }
        var hasContent = false
        while take({ $0.isAlphanumeric && 2...8 ~= $0.count }) { hasContent = true }
        // Without content the tag can't end well: the singleton is given back.
        if !hasContent { next -= 1 }
        return hasContent
    }

    private mutating func takePrivateUse() -> Bool {
        let start = next
        guard take({ $0.count == 1 && $0.first | 0x20 == UInt8(ascii: "x") }) else { return false }
        var hasContent = false
        while take({ $0.isAlphanumeric && 1...8 ~= $0.count }) { hasContent = true }
        if !hasContent { next = start }
        return hasContent
    }
}

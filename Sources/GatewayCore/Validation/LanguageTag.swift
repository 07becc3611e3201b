// SPDX-License-Identifier: Apache-2.0

/// The syntax of BCP 47 language tags.
package enum LanguageTag {
    /// The maximum length of a tag in bytes.
    package static let maximumLength = 64

    /// Returns whether the bytes are a well-formed tag of at most 64 characters (RFC 5646 §2.1); the registry isn't checked.
    package static func isWellFormed(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= 1, bytes.byteCount <= maximumLength else { return false }
        var tag = Subtags(bytes)
        return tag.isLanguageTag() || isIrregular(bytes)
    }

    /// Returns whether the tag is one of the grandfathered tags that the grammar doesn't cover (RFC 5646 §2.1, `irregular`).
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
                // Within the literal's count; literals live as long as the process.
                if unsafe lower != tag.utf8Start[index] { return false }
            }
            return true
        }
    }
}

/// The subtags of a tag, each with its length, the numbers of digits and letters, and its first character.
///
/// A well-formed tag of the maximum length has at most 32 subtags.
private struct Subtags {
    private struct Subtag {
        var count = 0
        var digits = 0
        var letters = 0
        var first: UInt8 = 0

        /// Whether the subtag consists of letters and digits.
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
                // A tag with more subtags contains empty ones: the last subtag stays empty, so the tag is rejected.
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

    /// Consumes the next subtag if it matches.
    private mutating func accept(_ isMatch: (Subtag) -> Bool) -> Bool {
        guard next < count, isMatch(subtags[next]) else { return false }
        next += 1
        return true
    }

    mutating func isLanguageTag() -> Bool {
        if !acceptPrivateUse() {
            guard acceptLanguage() else { return false }
            _ = accept { $0.isAlphabetic && $0.count == 4 }
            _ = accept { $0.isAlphabetic && $0.count == 2 || $0.digits == 3 && $0.count == 3 }
            while accept({ $0.isAlphanumeric && (5...8 ~= $0.count || $0.count == 4 && $0.first &- 0x30 < 10) }) {}
            while acceptExtension() {}
            _ = acceptPrivateUse()
        }
        return next == count
    }

    /// `2*3ALPHA` with up to three extended languages of three letters, or `4*8ALPHA`.
    private mutating func acceptLanguage() -> Bool {
        if accept({ $0.isAlphabetic && 4...8 ~= $0.count }) { return true }
        guard accept({ $0.isAlphabetic && 2...3 ~= $0.count }) else { return false }
        for _ in 0..<3 where !accept({ $0.isAlphabetic && $0.count == 3 }) { break }
        return true
    }

    private mutating func acceptExtension() -> Bool {
        guard accept({ $0.isAlphanumeric && $0.count == 1 && $0.first | 0x20 != UInt8(ascii: "x") }) else { return false }
        var hasContent = false
        while accept({ $0.isAlphanumeric && 2...8 ~= $0.count }) { hasContent = true }
        // A singleton without content is invalid: it isn't consumed, and the tag is rejected.
        if !hasContent { next -= 1 }
        return hasContent
    }

    private mutating func acceptPrivateUse() -> Bool {
        let start = next
        guard accept({ $0.count == 1 && $0.first | 0x20 == UInt8(ascii: "x") }) else { return false }
        var hasContent = false
        while accept({ $0.isAlphanumeric && 1...8 ~= $0.count }) { hasContent = true }
        if !hasContent { next = start }
        return hasContent
    }
}

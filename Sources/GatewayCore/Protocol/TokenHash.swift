// SPDX-License-Identifier: Apache-2.0

/// A resume token as stored by the gateway: the SHA-256 of the token sent to the client (protocol page, "Sessions and resume").
package struct TokenHash: Hashable, Sendable {
    package let words: (UInt64, UInt64, UInt64, UInt64)

    package init(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) { words = (a, b, c, d) }

    package var values: [UInt64] { [words.0, words.1, words.2, words.3] }

    /// Compares in constant time.
    package static func == (left: Self, right: Self) -> Bool {
        (left.words.0 ^ right.words.0) | (left.words.1 ^ right.words.1) | (left.words.2 ^ right.words.2) | (left.words.3 ^ right.words.3)
            == 0
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

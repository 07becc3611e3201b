/// A resume token as the gateway keeps it: the SHA-256 of what the client was given (protocol page, "Sessions and resume").
package struct TokenHash: Hashable, Sendable {
    package let words: (UInt64, UInt64, UInt64, UInt64)

    package init(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) { words = (a, b, c, d) }

    var values: [UInt64] { [words.0, words.1, words.2, words.3] }

    /// In constant time.
    package static func == (left: Self, right: Self) -> Bool {
        (left.words.0 ^ right.words.0) | (left.words.1 ^ right.words.1) | (left.words.2 ^ right.words.2) | (left.words.3 ^ right.words.3)
            == 0
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// The tokens by which a session may be resumed: the newest, and until that is confirmed the one that was presented for it.
///
/// A token stays valid until its successor is confirmed, by an `ack` on the new connection or by presenting the successor: the answer that
/// carries the successor can get lost like anything else. At most two are valid.
package struct ResumeCredentials: Sendable {
    /// Given out last; nil before the first.
    package private(set) var newest: TokenHash?
    /// Presented for ``newest``, which the client may not have got.
    package private(set) var presented: TokenHash?

    package init() {}

    package func accept(_ token: TokenHash) -> Bool {
        let isNewest = newest == token
        let isPresented = presented == token
        return isNewest || isPresented
    }

    /// Another token is given out, for `token` or at the beginning of the session. What is valid besides ends.
    package mutating func issue(_ successor: TokenHash, for token: TokenHash?) {
        presented = token
        newest = successor
    }

    /// The client has the newest token: no other is valid any more.
    ///
    /// - Returns: whether another one was until now.
    @discardableResult
    package mutating func confirm() -> Bool {
        defer { presented = nil }
        return presented != nil
    }

    /// Those that are valid.
    package var tokens: [TokenHash] { [newest, presented].compactMap(\.self) }
}

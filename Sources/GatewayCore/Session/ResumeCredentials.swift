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

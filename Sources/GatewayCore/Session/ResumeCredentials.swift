// SPDX-License-Identifier: Apache-2.0

/// The tokens that can resume a session: the newest token and, until the client confirms it, the token presented in exchange.
///
/// A token stays valid until its successor is confirmed, by an `ack` on the new connection or by presenting the successor, because the
/// message with the successor can get lost. At most two tokens are valid at a time.
package struct ResumeCredentials: Sendable {
    /// The token issued last; nil before the first.
    package private(set) var newest: TokenHash?
    /// The token for which ``newest`` was issued; nil once the client has confirmed ``newest``.
    package private(set) var presented: TokenHash?

    package init() {}

    package func accept(_ token: TokenHash) -> Bool {
        let isNewest = newest == token
        let isPresented = presented == token
        return isNewest || isPresented
    }

    /// Issues a token: in exchange for `token`, or the session's first if nil. Only these two remain valid.
    package mutating func issue(_ successor: TokenHash, for token: TokenHash?) {
        presented = token
        newest = successor
    }

    /// Invalidates all tokens but the newest, which the client has received.
    ///
    /// - Returns: whether another token was valid until now.
    @discardableResult
    package mutating func confirm() -> Bool {
        defer { presented = nil }
        return presented != nil
    }

    /// The valid tokens.
    package var tokens: [TokenHash] { [newest, presented].compactMap(\.self) }
}

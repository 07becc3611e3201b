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
    /// Whether ``tokens`` has changed since the last call of ``takeChange()``.
    private var hasChanged = false

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
        hasChanged = true
    }

    /// Invalidates all tokens but the newest, which the client has received.
    ///
    /// - Returns: whether another token was valid until now.
    @discardableResult
    package mutating func confirm() -> Bool {
        guard presented != nil else { return false }
        presented = nil
        hasChanged = true
        return true
    }

    /// Returns ``tokens`` if they have changed since the last call.
    mutating func takeChange() -> [TokenHash]? {
        guard hasChanged else { return nil }
        hasChanged = false
        return tokens
    }

    /// The valid tokens.
    package var tokens: [TokenHash] { [newest, presented].compactMap(\.self) }
}

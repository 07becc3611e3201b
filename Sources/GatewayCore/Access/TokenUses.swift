// SPDX-License-Identifier: Apache-2.0

/// Counts of the sessions that tokens with a limited number of uses have opened.
///
/// An entry is kept until its token expires. The number of entries is bounded; at the bound, tokens that have no entry yet are rejected,
/// because forgetting one would make its token usable again.
package struct TokenUses: Sendable {
    /// A token that has been used.
    package struct Entry: Sendable, Hashable {
        package var tokenID: String
        /// The number of sessions that the token has opened.
        package var spent: Int
        /// The time from which the token is invalid, leeway included, in Unix milliseconds.
        package var until: Int64

        package init(tokenID: String, spent: Int, until: Int64) {
            self.tokenID = tokenID
            self.spent = spent
            self.until = until
        }
    }

    package static let maximumCount = 100_000

    private var entries: [String: Entry] = [:]
    private let maximumCount: Int

    /// - Parameter maximumCount: the maximum number of tokens
    package init(maximumCount: Int = Self.maximumCount) { self.maximumCount = maximumCount }

    package var count: Int { entries.count }

    /// Spends one use of a token.
    ///
    /// - Returns: the entry to store; nil when the token has no use left
    package mutating func spend(_ tokenID: String, of uses: Int, until: Int64, now: Int64) -> Entry? {
        var entry = entries[tokenID] ?? Entry(tokenID: tokenID, spent: 0, until: until)
        guard entry.spent < uses else { return nil }
        entry.spent += 1
        entry.until = max(entry.until, until)
        return insert(entry, now: now) ? entry : nil
    }

    /// Returns a use, such as when the session couldn't be opened after all.
    ///
    /// - Returns: the entry to store; nil if the token has no entry
    package mutating func refund(_ tokenID: String) -> Entry? {
        guard var entry = entries[tokenID], entry.spent > 0 else { return nil }
        entry.spent -= 1
        entries[tokenID] = entry
        return entry
    }

    /// Adds an entry that was stored. Returns false at the bound.
    @discardableResult
    package mutating func insert(_ entry: Entry, now: Int64) -> Bool {
        if entries[entry.tokenID] == nil, entries.count >= maximumCount {
            removeExpired(now: now)
            guard entries.count < maximumCount else { return false }
        }
        entries[entry.tokenID] = entry
        return true
    }

    /// Removes the entries of expired tokens.
    package mutating func removeExpired(now: Int64) { entries = entries.filter { $0.value.until > now } }
}

// SPDX-License-Identifier: Apache-2.0

/// The users whose tokens were revoked, each with the time up to which they count as revoked.
///
/// An entry is kept until the last token issued before its time would have expired. A token without `iat` is revoked as long as its user has
/// an entry. The number of entries is bounded; at the bound a further revocation fails, because forgetting one would let its tokens in.
package struct Revocations: Sendable, Equatable {
    package struct Entry: Sendable, Hashable {
        package var user: String
        /// Tokens issued at or before this time are revoked; Unix milliseconds.
        package var before: Int64
        /// The time from which the entry has no effect, in Unix milliseconds; `Int64.max` without a maximum lifetime of tokens.
        package var until: Int64

        package init(user: String, before: Int64, until: Int64) {
            self.user = user
            self.before = before
            self.until = until
        }
    }

    /// All entries are in use, and none has ended.
    package struct Full: Error {
        package init() {}
    }

    package static let maximumCount = 100_000

    private var entries: [String: Entry] = [:]
    private let maximumCount: Int

    /// - Parameter maximumCount: the maximum number of users
    package init(maximumCount: Int = Self.maximumCount) { self.maximumCount = maximumCount }

    package var count: Int { entries.count }

    /// Revokes the tokens of a user that were issued at or before a time. An earlier time than the one in force changes nothing.
    ///
    /// - Parameters:
    ///   - before: Unix milliseconds from 0 to the year 9999
    ///   - rules: the maximum lifetime and the leeway, which determine how long the entry is kept
    /// - Returns: the entry in force, to be stored
    @discardableResult
    package mutating func revoke(_ user: String, before: Int64, rules: TokenRules, now: Int64) throws(Full) -> Entry {
        let until = rules.maximumLifetime > 0 ? max(before, now) &+ rules.maximumLifetime &+ rules.leeway : .max
        let current = entries[user]
        let entry = Entry(user: user, before: max(before, current?.before ?? before), until: max(until, current?.until ?? until))
        try insert(entry, now: now)
        return entry
    }

    /// Adds a revocation of another node, unless it is known. The later times are kept.
    ///
    /// - Returns: whether more tokens are revoked than before
    package mutating func merge(_ entry: Entry, now: Int64) throws(Full) -> Bool {
        let current = entries[entry.user]
        let merged = Entry(
            user: entry.user, before: max(entry.before, current?.before ?? entry.before),
            until: max(entry.until, current?.until ?? entry.until))
        guard merged != current else { return false }
        try insert(merged, now: now)
        return merged.before != current?.before
    }

    /// Adds an entry that was stored.
    package mutating func insert(_ entry: Entry, now: Int64) throws(Full) {
        if entries[entry.user] == nil, entries.count >= maximumCount {
            removeExpired(now: now)
            guard entries.count < maximumCount else { throw Full() }
        }
        entries[entry.user] = entry
    }

    /// Removes the entries that have no effect any more.
    package mutating func removeExpired(now: Int64) { entries = entries.filter { $0.value.until > now } }

    /// Returns whether a token of the user is revoked.
    ///
    /// - Parameter issuedAt: the claim `iat` in Unix milliseconds
    package func isRevoked(user: String, issuedAt: Int64?) -> Bool {
        guard let entry = entries[user] else { return false }
        return issuedAt.map { $0 <= entry.before } ?? true
    }
}

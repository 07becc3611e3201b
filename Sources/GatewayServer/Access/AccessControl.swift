// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// Decides which clients get in: verifies tokens, and limits the connections of each user. Shared by all event loops.
package final class AccessControl: Sendable {
    /// The result of spending a use of a token.
    package enum Spending: Sendable {
        case spent
        /// The token has no use left.
        case exhausted
        /// The store that counts the uses can't be reached.
        case unavailable
    }

    package let mode: AuthenticationMode
    package let users: UserConnections
    /// Verifies a token at a time in Unix milliseconds. Takes no longer than a few signature checks.
    package let verify: @Sendable (String, Int64) -> TokenAuthority.Outcome
    /// Fetches the keys again, unless they were fetched recently, and calls the closure on any thread when that has ended.
    package let refreshKeys: @Sendable (@escaping @Sendable () -> Void) -> Void
    /// Spends one use of a token with a limited number of uses. Calls the closure at once, or later on any thread.
    package let spend: @Sendable (Grant, @escaping @Sendable (Spending) -> Void) -> Void
    /// Returns a use that was spent for a session that couldn't be opened.
    package let refund: @Sendable (Grant) -> Void

    package init(
        mode: AuthenticationMode, users: UserConnections, verify: @escaping @Sendable (String, Int64) -> TokenAuthority.Outcome,
        refreshKeys: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void = { $0() },
        spend: @escaping @Sendable (Grant, @escaping @Sendable (Spending) -> Void) -> Void = { $1(.spent) },
        refund: @escaping @Sendable (Grant) -> Void = { _ in }
    ) {
        self.mode = mode
        self.users = users
        self.verify = verify
        self.refreshKeys = refreshKeys
        self.spend = spend
        self.refund = refund
    }

    /// Admits every client, without users.
    package static var open: AccessControl {
        AccessControl(mode: .none, users: UserConnections(policy: .init(maximum: 0, evictsOldest: true)), verify: { _, _ in .unknownKey })
    }
}

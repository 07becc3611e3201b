// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// Decides which clients get in: verifies tokens, and limits the connections of each user. Shared by all event loops.
package final class AccessControl: Sendable {
    package let mode: AuthenticationMode
    package let users: UserConnections
    /// Verifies a token at a time in Unix milliseconds. Takes no longer than a few signature checks.
    package let verify: @Sendable (String, Int64) -> TokenAuthority.Outcome
    /// Fetches the keys again, unless they were fetched recently, and calls the closure on any thread when that has ended.
    package let refreshKeys: @Sendable (@escaping @Sendable () -> Void) -> Void
    /// Spends one use of a token with a limited number of uses, and returns whether it had one left.
    package let spend: @Sendable (Grant) -> Bool
    /// Returns a use that was spent for a session that couldn't be opened.
    package let refund: @Sendable (Grant) -> Void

    package init(
        mode: AuthenticationMode, users: UserConnections, verify: @escaping @Sendable (String, Int64) -> TokenAuthority.Outcome,
        refreshKeys: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void = { $0() },
        spend: @escaping @Sendable (Grant) -> Bool = { _ in true }, refund: @escaping @Sendable (Grant) -> Void = { _ in }
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

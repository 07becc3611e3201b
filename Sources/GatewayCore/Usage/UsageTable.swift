// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The accounts of the users that have a session or used something in the current month. Accessed when a session gets its user, not for
/// each message.
package final class UsageTable: Sendable {
    private struct State {
        var accounts: [String: UserAccount] = [:]
        /// The number of accounts at which unused ones are removed.
        var sweepAt = 1024
    }

    private let state = Mutex(State())
    private let maximumCount: Int
    /// The rows for usage reports; nil when they are stored with the sessions.
    package let ledger: UsageLedger?
    /// Called with each new account and the wall clock, before the account is charged.
    private let onCreate: (@Sendable (UserAccount, Int64) -> Void)?

    /// - Parameters:
    ///   - maximumCount: the number of accounts above which those without a session are removed, beginning with those that have used least
    ///   - onCreate: loads the earlier usage of a new account, which is added with ``UserAccount/add(earlier:)``; must not block
    package init(
        ledger: UsageLedger? = nil, maximumCount: Int = 1_000_000, onCreate: (@Sendable (UserAccount, Int64) -> Void)? = nil
    ) {
        self.ledger = ledger
        self.maximumCount = maximumCount
        self.onCreate = onCreate
    }

    package var count: Int { state.withLock { $0.accounts.count } }

    /// Returns the account of a user.
    ///
    /// - Parameter wall: Unix milliseconds
    package func account(of user: String, wall: Int64) -> UserAccount {
        state.withLock { state in
            if let known = state.accounts[user] { return known }
            if state.accounts.count >= min(state.sweepAt, maximumCount) { sweep(&state, wall: wall) }
            let made = UserAccount(user: user, ledger: ledger)
            state.accounts[user] = made
            onCreate?(made, wall)
            return made
        }
    }

    /// Returns the account of a user; nil if there is none.
    package func known(_ user: String) -> UserAccount? { state.withLock { $0.accounts[user] } }

    /// Adds the usage of a user before the start of the process. Called once for each user, before sessions are restored.
    package func restore(_ usage: PeriodUsage, of user: String) {
        state.withLock { $0.accounts[user] = UserAccount(user: user, ledger: ledger, usage: usage) }
    }

    /// Removes accounts that no session uses and that have used nothing in the current month.
    package func sweep(wall: Int64) { state.withLock { sweep(&$0, wall: wall) } }

    private func sweep(_ state: inout State, wall: Int64) {
        var unused: [(user: String, usage: UsageAmounts)] = []
        var index = state.accounts.startIndex
        while index != state.accounts.endIndex {
            if isKnownUniquelyReferenced(&state.accounts.values[index]) {
                unused.append((state.accounts[index].key, state.accounts[index].value.usage(wall: wall).month))
            }
            state.accounts.formIndex(after: &index)
        }
        for entry in unused where entry.usage == .zero { state.accounts[entry.user] = nil }
        if state.accounts.count >= maximumCount {
            // A quarter of them at once, so that the next user doesn't sweep again.
            let used = unused.filter { $0.usage != .zero }.sorted { ($0.usage.messages, $0.user) < ($1.usage.messages, $1.user) }
            for entry in used.prefix((used.count + 3) / 4) { state.accounts[entry.user] = nil }
        }
        state.sweepAt = max(1024, 2 * state.accounts.count)
    }
}

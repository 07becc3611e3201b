// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// A store that is too large to load the usage of all users at startup.
package protocol UsageSource: Sendable {
    /// Loads the usage of a user in the current day and month, as of the batches that were submitted before. Doesn't block.
    ///
    /// - Parameters:
    ///   - wall: Unix milliseconds
    ///   - completion: called on any thread, unless the store closes before; during an outage of the store, after it
    func loadUsage(of user: String, wall: Int64, completion: @escaping @Sendable (PeriodUsage) -> Void)
}

extension UsageTable {
    /// Creates a table whose new accounts get their earlier usage from a store.
    convenience init(source: any UsageSource) {
        self.init(onCreate: { account, wall in
            source.loadUsage(of: account.user, wall: wall) { account.add(earlier: $0) }
        })
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A budget that limits retries to a share of the requests, so that retries don't multiply the load on a failing upstream.
package struct RetryBudget: Sendable, Hashable {
    /// The maximum number of saved retries, which is also the initial number.
    package static let reserve = 10.0

    /// Retries earned by each request, 0 to 1.
    package let share: Double
    private var saved = RetryBudget.reserve

    package init(share: Double) { self.share = share }

    /// Credits a request that isn't a retry.
    package mutating func earn() { saved = min(saved + share, Self.reserve) }

    /// Deducts a retry from the budget.
    ///
    /// - Returns: whether the budget admits the retry
    package mutating func spend() -> Bool {
        guard saved >= 1, share > 0 else { return false }
        saved -= 1
        return true
    }
}

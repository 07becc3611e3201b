/// Bounds retries to a share of requests, so that an upstream that is down isn't asked several times as much for it.
package struct RetryBudget: Sendable, Hashable {
    /// Retries that a long quiet time saves up.
    package static let reserve = 10.0

    /// Retries for each request, 0 to 1.
    package let share: Double
    private var saved = RetryBudget.reserve

    package init(share: Double) { self.share = share }

    /// A request that isn't a retry.
    package mutating func earn() { saved = min(saved + share, Self.reserve) }

    /// Whether there may be a retry now; takes it from the budget.
    package mutating func spend() -> Bool {
        guard saved >= 1, share > 0 else { return false }
        saved -= 1
        return true
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The quotas that apply to a session, in a form that is fast to check, and the thresholds of which notices were sent.
package struct SessionQuotas: Sendable {
    /// A quota with its limit in the unit of the quota.
    package struct Item: Sendable {
        package let quota: Quota
        package let limit: Double
        /// The number of thresholds with a notice in the period that ends at `period`.
        fileprivate var announced = 0
        fileprivate var period: Int64 = 0

        /// Whether nothing is left.
        func isExhausted(_ usage: PeriodUsage) -> Bool { used(usage) >= limit }

        package func used(_ usage: PeriodUsage) -> Double { usage.amounts(in: quota.period).value(quota.resource) }
    }

    /// The shares of a limit at which a notice is sent.
    package static let thresholds = [0.8, 0.95]

    package private(set) var items: [Item] = []

    package init() {}

    /// - Parameters:
    ///   - configured: the limits of `quotas`
    ///   - claims: the limits of the user's token, which replace configured ones; 0 turns a quota off
    package init(_ configured: QuotaLimits, claims: [Quota: Double] = [:]) {
        for quota in Quota.allCases {
            let limit = claims[quota] ?? configured[quota]
            if limit > 0 { items.append(Item(quota: quota, limit: limit)) }
        }
    }

    package var isEmpty: Bool { items.isEmpty }

    /// Returns an exhausted quota: of several the one that is reset last.
    package func exhausted(_ usage: PeriodUsage, where isRelevant: (Quota.Resource) -> Bool = { _ in true }) -> Quota? {
        var found: Quota?
        for item in items where item.isExhausted(usage) && isRelevant(item.quota.resource) {
            if found == nil || item.quota.period == .month { found = item.quota }
        }
        return found
    }

    /// Passes the quotas that have reached another threshold to `announce`, once for each threshold.
    mutating func announce(_ usage: PeriodUsage, _ announce: (Item, _ used: Double, _ resetsAt: Int64) -> Void) {
        for index in items.indices {
            let used = items[index].used(usage)
            guard used >= items[index].limit * Self.thresholds[0] else { continue }
            let reached = Self.thresholds.reduce(0) { $0 + (used >= items[index].limit * $1 ? 1 : 0) }
            let end = usage.end(of: items[index].quota.period)
            guard items[index].period != end || items[index].announced < reached else { continue }
            (items[index].announced, items[index].period) = (reached, end)
            announce(items[index], used, end)
        }
    }

    /// Forgets the notices that were sent, so that they are repeated after a resume.
    mutating func forgetAnnouncements() {
        for index in items.indices { items[index].announced = 0 }
    }
}

// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// A query for the sums of usage over a range of UTC days.
package struct UsageQuery: Sendable {
    /// A column that sums are grouped by.
    package enum Column: String, Sendable, CaseIterable {
        case user, day, route, upstream

        /// The value of a row in the column.
        func value(of row: UsageRow) -> String {
            switch self {
            case .user: row.user
            case .day: row.day.description
            case .route: row.route
            case .upstream: row.upstream
            }
        }
    }

    package var days: Range<UTCDay>
    /// The only user to include; nil for all.
    package var user: String?
    /// The columns of the grouping, in the order in which the sums are sorted; empty for one sum.
    package var grouping: [Column] = []

    package init(days: Range<UTCDay>) { self.days = days }
}

/// The sum of one group.
package struct UsageSum: Sendable, Hashable {
    /// The values of the grouping's columns.
    package var values: [String]
    package var amounts: UsageAmounts

    package init(values: [String], amounts: UsageAmounts) {
        self.values = values
        self.amounts = amounts
    }
}

/// The rows of usage, by user, day, route and upstream.
package protocol UsageArchive: Sendable {
    /// Returns the sums of groups in the order of their values.
    ///
    /// - Parameters:
    ///   - values: the values after which to begin; nil for the beginning
    ///   - limit: maximum number of sums
    func sums(_ query: UsageQuery, after values: [String]?, limit: Int) async throws -> [UsageSum]
}

extension UsageLedger: UsageArchive {
    package func sums(_ query: UsageQuery, after values: [String]?, limit: Int) async throws -> [UsageSum] {
        var groups: [[String]: UsageAmounts] = [:]
        for (row, amounts) in rows(in: query.days) where query.user.map({ $0 == row.user }) ?? true {
            groups[query.grouping.map { $0.value(of: row) }, default: .zero] += amounts
        }
        let sorted = groups.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        let rest = values.map { values in sorted.drop { !values.lexicographicallyPrecedes($0.key) } } ?? sorted[...]
        return rest.prefix(limit).map { UsageSum(values: $0.key, amounts: $0.value) }
    }
}

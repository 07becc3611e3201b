// SPDX-License-Identifier: Apache-2.0

/// The key of the finest unit of usage reports: one user, day, route and upstream.
package struct UsageRow: Hashable, Sendable {
    package var user: String
    package var day: UTCDay
    /// The name of the route; empty if the request had none.
    package var route: String
    /// The name of the upstream; empty if the request had none.
    package var upstream: String

    package init(user: String, day: UTCDay, route: String, upstream: String) {
        self.user = user
        self.day = day
        self.route = route
        self.upstream = upstream
    }

    /// The first day whose rows are kept: 13 months, with the current one.
    package static func firstKeptDay(wall: Int64) -> UTCDay { UTCDay(unixMilliseconds: wall).monthStart(addingMonths: -12) }
}

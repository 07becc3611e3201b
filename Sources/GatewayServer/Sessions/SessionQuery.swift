// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The figure by which operators sort live sessions, largest first.
package enum SessionSort: String, Sendable, CaseIterable {
    /// The memory usage in bytes.
    case memory
    /// The bytes that wait for the client.
    case queue
    /// The smoothed round-trip time; sessions without one come last.
    case rtt
    /// The number of errors sent.
    case errors
    /// The time since the session began.
    case age
}

/// The position of a session in a sorted list: by figure, largest first, then by id.
package struct SessionRank: Sendable, Hashable, Comparable {
    package var figure: Int64
    package var id: ULID

    package init(figure: Int64, id: ULID) {
        self.figure = figure
        self.id = id
    }

    package static func < (left: SessionRank, right: SessionRank) -> Bool {
        left.figure == right.figure ? left.id < right.id : left.figure > right.figure
    }

    /// The cursor of a page that ends with this session: `4096.01J…`.
    package var cursor: String { "\(figure).\(id)" }

    /// Parses a cursor; nil if the text isn't one.
    package init?(cursor: String) {
        let parts = cursor.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let figure = Int64(parts[0]), parts[0] == "\(figure)", let id = ULID(String(parts[1])) else { return nil }
        self.init(figure: figure, id: id)
    }
}

/// The live sessions that a list contains, and their order.
package struct SessionQuery: Sendable, Hashable {
    /// Nil: in the order of the ids, which is that of the start times.
    package var sort: SessionSort?
    /// The last session of the previous page.
    package var after: SessionRank?
    package var limit: Int
    /// True for attached sessions only, false for detached ones only, nil for both.
    package var attached: Bool?
    /// Nil: the sessions of all users.
    package var user: String?

    package init(
        sort: SessionSort? = nil, after: SessionRank? = nil, limit: Int, attached: Bool? = nil, user: String? = nil
    ) {
        self.sort = sort
        self.after = after
        self.limit = limit
        self.attached = attached
        self.user = user
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The request of a node for the first live sessions of a list on another one.
package struct SessionListRequest: Sendable, Hashable {
    /// The position of a session in a list.
    package struct Rank: Sendable, Hashable {
        package var figure: Int64
        package var id: ULID

        package init(figure: Int64, id: ULID) {
            self.figure = figure
            self.id = id
        }
    }

    /// The name of the figure that orders the list; nil for the order of the ids.
    package var sort: String?
    /// The last session of the previous page.
    package var after: Rank?
    package var limit: Int
    /// True for attached sessions only, false for detached ones only, nil for both.
    package var attached: Bool?
    /// Nil: the sessions of all users.
    package var user: String?

    /// Maximum value of ``limit``: one more than the largest page.
    package static let maximumLimit = 501

    package init(sort: String?, after: Rank?, limit: Int, attached: Bool?, user: String?) {
        self.sort = sort
        self.after = after
        self.limit = limit
        self.attached = attached
        self.user = user
    }

    package var record: [UInt8] {
        var record: [UInt8] = []
        record.append(perhaps: sort) { $0.append(text: $1) }
        record.append(perhaps: after) {
            $0.append(integer: $1.figure)
            $0.append(ulid: $1.id)
        }
        record.append(integer: Int64(limit))
        record.append(perhaps: attached) { $0.append(flag: $1) }
        record.append(perhaps: user) { $0.append(text: $1) }
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        sort = try reader.perhaps { (reader) throws(RecordError) in try reader.text() }
        after = try reader.perhaps { (reader) throws(RecordError) in Rank(figure: try reader.integer(), id: try reader.ulid()) }
        limit = try reader.count()
        attached = try reader.perhaps { (reader) throws(RecordError) in try reader.bool() }
        user = try reader.perhaps { (reader) throws(RecordError) in try reader.text() }
        try reader.expectEnd()
        guard limit <= Self.maximumLimit else { throw RecordError() }
    }
}

/// The live sessions of another node, in the order of the list.
package struct SessionListReply: Sendable, Hashable {
    package struct Row: Sendable, Hashable {
        package var rank: SessionListRequest.Rank
        /// The summary of the session, as JSON.
        package var summary: [UInt8]

        package init(rank: SessionListRequest.Rank, summary: [UInt8]) {
            self.rank = rank
            self.summary = summary
        }
    }

    package var rows: [Row]

    package init(rows: [Row]) { self.rows = rows }

    package var record: [UInt8] {
        var record: [UInt8] = []
        record.append(list: rows) {
            $0.append(integer: $1.rank.figure)
            $0.append(ulid: $1.rank.id)
            $0.append(counted: $1.summary)
        }
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        rows = try reader.list(upTo: SessionListRequest.maximumLimit) { (reader) throws(RecordError) in
            Row(rank: .init(figure: try reader.integer(), id: try reader.ulid()), summary: try reader.counted())
        }
        try reader.expectEnd()
    }
}

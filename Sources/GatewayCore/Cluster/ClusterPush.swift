// SPDX-License-Identifier: Apache-2.0

/// A push into sessions of another node.
package struct ClusterPush: Sendable {
    package enum Target: Sendable, Hashable {
        case sessions([ULID])
        /// All sessions of the node.
        case all
    }

    package var push: Push
    package var target: Target

    /// Maximum number of sessions in one request.
    package static let maximumSessions = 10_000

    package init(_ push: Push, to target: Target) {
        self.push = push
        self.target = target
    }

    package var record: [UInt8] {
        var record: [UInt8] = []
        switch target {
        case .all: record.append(0)
        case .sessions(let sessions):
            record.append(1)
            record.append(list: sessions) { $0.append(ulid: $1) }
        }
        push.append(to: &record)
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        switch try reader.fixed(UInt8.self) {
        case 0: target = .all
        case 1: target = .sessions(try reader.list(upTo: Self.maximumSessions) { (reader) throws(RecordError) in try reader.ulid() })
        default: throw RecordError()
        }
        push = try Push(&reader)
        try reader.expectEnd()
    }
}

/// The result of a push into sessions of another node.
package struct ClusterPushReply: Sendable, Hashable {
    package struct Delivery: Sendable, Hashable {
        package var session: ULID
        package var sequence: UInt64

        package init(session: ULID, sequence: UInt64) {
            self.session = session
            self.sequence = sequence
        }
    }

    package var deliveries: [Delivery]
    /// The number of further sessions that the push was queued in.
    package var unlisted: Int
    /// The number of sessions in which the push failed.
    package var failures: Int
    /// Sessions that aren't on the node any more.
    package var missing: [ULID]

    /// Maximum number of entries of each list.
    package static let maximumCount = 10_000

    package init(deliveries: [Delivery], unlisted: Int, failures: Int, missing: [ULID]) {
        self.deliveries = deliveries
        self.unlisted = unlisted
        self.failures = failures
        self.missing = missing
    }

    package var record: [UInt8] {
        var record: [UInt8] = []
        record.append(list: deliveries) {
            $0.append(ulid: $1.session)
            $0.append(fixed: $1.sequence)
        }
        record.append(integer: Int64(unlisted))
        record.append(integer: Int64(failures))
        record.append(list: missing) { $0.append(ulid: $1) }
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        deliveries = try reader.list(upTo: Self.maximumCount) { (reader) throws(RecordError) in
            Delivery(session: try reader.ulid(), sequence: try reader.fixed())
        }
        unlisted = try reader.count()
        failures = try reader.count()
        missing = try reader.list(upTo: Self.maximumCount) { (reader) throws(RecordError) in try reader.ulid() }
        try reader.expectEnd()
    }
}

/// The stored answer to a push with an idempotency key.
package struct PushAnswerRecord: Sendable, Hashable {
    package var id: ULID
    package var reply: ClusterPushReply
    /// The names of the nodes that didn't respond.
    package var missingNodes: [String]

    private static let maximumNodes = 10_000

    package init(id: ULID, reply: ClusterPushReply, missingNodes: [String]) {
        self.id = id
        self.reply = reply
        self.missingNodes = missingNodes
    }

    package var record: [UInt8] {
        var record: [UInt8] = []
        record.append(ulid: id)
        record.append(counted: reply.record)
        record.append(list: missingNodes) { $0.append(text: $1) }
        return record
    }

    package init(record: [UInt8]) throws(RecordError) {
        var reader = RecordReader(record)
        id = try reader.ulid()
        reply = try ClusterPushReply(record: try reader.counted())
        missingNodes = try reader.list(upTo: Self.maximumNodes) { (reader) throws(RecordError) in try reader.text() }
        try reader.expectEnd()
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The pushes of a session that its client hasn't acknowledged, in the order of their sequence numbers.
package struct PendingPushes: Sendable {
    struct Entry: Sendable {
        let push: Push
        /// Tags the messages of the push in the outbox and the history.
        let key: RequestKey
        /// The sequence number of the last message.
        let lastSequence: UInt64
        /// The end of the time to live, in Unix milliseconds; `.max` for never.
        let deadline: Int64
        var isStored = false
    }

    /// The maximum number of pending pushes; a further push fails as ``PushFailure/outboxFull``.
    package static let limit = 256

    private(set) var entries: [Entry] = []
    /// The keys of removed entries whose records are to be removed from the store.
    private var removed: [RequestKey] = []

    init() {}

    var isEmpty: Bool { entries.isEmpty }
    var isFull: Bool { entries.count >= Self.limit }
    /// The earliest deadline in Unix milliseconds; nil when no push expires.
    var nextDeadline: Int64? { entries.lazy.map(\.deadline).filter { $0 != .max }.min() }
    var footprint: Int {
        guard entries.capacity > 0 else { return 0 }
        var bytes = entries.capacity * MemoryLayout<Entry>.stride
        for index in entries.indices { bytes += entries[index].push.footprint }
        return bytes
    }

    mutating func append(_ push: Push, key: RequestKey, lastSequence: UInt64, wall: Int64) {
        let deadline = push.timeToLive.map { wall.addingReportingOverflow($0) }
        entries.append(
            Entry(
                push: push, key: key, lastSequence: lastSequence,
                deadline: deadline.map { $0.overflow ? .max : $0.partialValue } ?? .max))
    }

    /// Removes and returns the entries for which `isRemoved` is true.
    mutating func remove(where isRemoved: (Entry) -> Bool) -> [Entry] {
        guard !entries.isEmpty else { return [] }
        let found = entries.filter(isRemoved)
        guard !found.isEmpty else { return [] }
        entries.removeAll(where: isRemoved)
        removed += found.lazy.filter(\.isStored).map(\.key)
        return found
    }

    // MARK: Storage

    mutating func store(of session: ULID, into batch: inout StoreBatch) {
        for key in removed { batch.remove(session, .push, key.number..<key.number &+ 1) }
        removed = []
        for index in entries.indices where !entries[index].isStored {
            entries[index].isStored = true
            let entry = entries[index]
            batch.put(session, .push, entry.key.number) { record in
                record.append(fixed: entry.lastSequence)
                record.append(fixed: entry.deadline)
                entry.push.append(to: &record)
            }
        }
    }

    mutating func restore(_ records: [StoredSession.Record]) throws(RecordError) {
        for record in records {
            var reader = RecordReader(record.bytes)
            let last: UInt64 = try reader.fixed()
            let deadline: Int64 = try reader.fixed()
            entries.append(
                Entry(
                    push: try Push(&reader), key: RequestKey(number: record.number), lastSequence: last, deadline: deadline, isStored: true)
            )
        }
    }
}

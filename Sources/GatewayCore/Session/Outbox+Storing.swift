// SPDX-License-Identifier: Apache-2.0

extension Outbox {
    /// Whether any message isn't in a batch yet.
    var hasUnstoredChanges: Bool { stored.last < lastSequence }

    /// Adds the changes since the last call to the batch.
    mutating func store(of session: ULID, into batch: inout StoreBatch) {
        let first = ring.isEmpty ? nextSequence : ring.tag(at: 0).sequence
        if hasGaps {
            // Stores all messages again. Cancellations are rare.
            batch.remove(session, .outbox, stored.first..<stored.last &+ 1)
            stored.last = first &- 1
            hasGaps = false
        } else {
            batch.remove(session, .outbox, stored.first..<min(first, stored.last &+ 1))
        }
        var index = ring.count
        while index > 0, ring.tag(at: index - 1).sequence > stored.last { index -= 1 }
        for index in index..<ring.count {
            let tag = ring.tag(at: index)
            batch.put(session, .outbox, tag.sequence) { record in
                record.append(tag.kind.rawValue)
                record.append(fixed: tag.request?.number ?? 0)
                ring.withRecord(at: index) { record.append(bytesOf: $0) }
            }
        }
        stored = (first, lastSequence)
    }

    func append(to record: inout [UInt8]) {
        record.append(fixed: lastSequence)
        record.append(fixed: removedThrough)
        record.append(fixed: acknowledged)
    }

    /// Restores the stored state and messages.
    mutating func restore(_ reader: inout RecordReader, messages: [StoredSession.Record]) throws(RecordError) {
        let last: UInt64 = try reader.fixed()
        let removedThrough: UInt64 = try reader.fixed()
        let acknowledged: UInt64 = try reader.fixed()
        var previous = removedThrough
        for message in messages {
            var reader = RecordReader(message.bytes)
            guard let kind = Kind(rawValue: try reader.fixed()), message.number > previous, message.number <= last else {
                throw RecordError()
            }
            previous = message.number
            let request: UInt64 = try reader.fixed()
            reader.rest().withRawSpan {
                ring.append(
                    $0, tag: Tag(sequence: message.number, kind: kind, request: request == 0 ? nil : RequestKey(number: request)))
            }
        }
        lastSequence = last
        self.removedThrough = removedThrough
        self.acknowledged = acknowledged
        writtenThrough = last
        stored = (messages.first?.number ?? last &+ 1, last)
        detach()
    }
}

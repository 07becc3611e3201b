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
            guard storesFrames || tag.kind != .binary else { continue }
            batch.put(session, .outbox, tag.sequence) { appendEntry(at: index, to: &$0) }
        }
        stored = (first, lastSequence)
    }

    private func appendEntry(at index: Int, to record: inout [UInt8]) {
        let tag = ring.tag(at: index)
        record.append(tag.kind.rawValue)
        record.append(fixed: tag.request?.number ?? 0)
        ring.withRecord(at: index) { record.append(bytesOf: $0) }
    }

    func append(to record: inout [UInt8]) {
        record.append(fixed: lastSequence)
        record.append(fixed: storesFrames ? removedThrough : max(removedThrough, lastFrame))
        record.append(fixed: acknowledged)
    }

    /// The highest sequence number of a binary message in the outbox; 0 without one.
    private var lastFrame: UInt64 {
        for index in (0..<ring.count).reversed() where ring.tag(at: index).kind == .binary { return ring.tag(at: index).sequence }
        return 0
    }

    /// Appends the messages that aren't stored, for a gateway that the session is handed over to.
    ///
    /// - Parameter includesFrames: false to leave them out, so that they count as removed
    func appendUnstored(to record: inout [UInt8], includesFrames: Bool) {
        record.append(fixed: storesFrames || includesFrames ? removedThrough : max(removedThrough, lastFrame))
        let frames = storesFrames || !includesFrames ? [] : (0..<ring.count).filter { ring.tag(at: $0).kind == .binary }
        record.append(fixed: UInt32(truncatingIfNeeded: frames.count))
        for index in frames {
            record.append(fixed: ring.tag(at: index).sequence)
            var entry: [UInt8] = []
            appendEntry(at: index, to: &entry)
            record.append(counted: entry)
        }
    }

    /// Inserts the messages of ``appendUnstored(to:includesFrames:)`` between the restored ones.
    mutating func restoreUnstored(_ reader: inout RecordReader) throws(RecordError) {
        let removedThrough: UInt64 = try reader.fixed()
        var merged = Outbox(maximumCount: maximumCount, maximumBytes: maximumBytes, storesFrames: storesFrames)
        var index = 0
        for _ in 0..<(try reader.fixed(UInt32.self)) {
            let sequence: UInt64 = try reader.fixed()
            var entry = RecordReader(try reader.counted())
            index = merged.append(from: self, index..<ring.count, before: sequence)
            guard sequence <= lastSequence, merged.ring.isEmpty || merged.ring.tag(at: merged.ring.count - 1).sequence < sequence else {
                throw RecordError()
            }
            try merged.appendEntry(&entry, sequence: sequence)
        }
        _ = merged.append(from: self, index..<ring.count, before: .max)
        ring = merged.ring
        self.removedThrough = removedThrough
        detach()
    }

    /// Appends the messages of another outbox up to a sequence number, and returns the index of the first that was left.
    private mutating func append(from other: Outbox, _ indices: Range<Int>, before limit: UInt64) -> Int {
        for index in indices {
            let tag = other.ring.tag(at: index)
            guard tag.sequence < limit else { return index }
            other.ring.withRecord(at: index) { ring.append($0, tag: tag) }
        }
        return indices.upperBound
    }

    private mutating func appendEntry(_ reader: inout RecordReader, sequence: UInt64) throws(RecordError) {
        guard let kind = Kind(rawValue: try reader.fixed()) else { throw RecordError() }
        let request: UInt64 = try reader.fixed()
        reader.rest().withRawSpan {
            ring.append($0, tag: Tag(sequence: sequence, kind: kind, request: request == 0 ? nil : RequestKey(number: request)))
        }
    }

    /// Restores the stored state and messages.
    mutating func restore(_ reader: inout RecordReader, messages: [StoredSession.Record]) throws(RecordError) {
        let last: UInt64 = try reader.fixed()
        let removedThrough: UInt64 = try reader.fixed()
        let acknowledged: UInt64 = try reader.fixed()
        // With unstored frames, messages before the last frame remain.
        var previous = storesFrames ? removedThrough : 0
        for message in messages {
            var reader = RecordReader(message.bytes)
            guard message.number > previous, message.number <= last else { throw RecordError() }
            previous = message.number
            try appendEntry(&reader, sequence: message.number)
        }
        lastSequence = last
        self.removedThrough = removedThrough
        self.acknowledged = acknowledged
        writtenThrough = last
        stored = (messages.first?.number ?? last &+ 1, last)
        detach()
    }
}

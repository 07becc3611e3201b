// SPDX-License-Identifier: Apache-2.0

/// A record of which entries of a queue are in the store. The queue grows at its end and shrinks at its start; its entries are numbered
/// consecutively.
struct SerialWatermark: Sendable {
    /// The number of the next entry.
    private(set) var total: UInt64 = 0
    /// The state of the store: entries before `first` have been removed, and entries before `next` have been put.
    private var stored: (first: UInt64, next: UInt64) = (0, 0)
    /// The store may have entries before this number that were removed from the end of the queue.
    private var removedBefore: UInt64 = 0

    mutating func added() { total &+= 1 }

    /// Records that the newest entries were removed. New entries reuse their numbers.
    mutating func removed(last count: Int) {
        total &-= UInt64(count)
        guard stored.next > total else { return }
        removedBefore = max(removedBefore, stored.next)
        stored.next = total
    }

    /// Adds the changes since the last call to the batch.
    ///
    /// - Parameters:
    ///   - count: number of current entries
    ///   - write: writes the entry at an index; 0 is the oldest
    mutating func store(
        _ kind: RecordKind, of session: ULID, count: Int, into batch: inout StoreBatch, _ write: (Int, inout [UInt8]) -> Void
    ) {
        let first = total &- UInt64(count)
        batch.remove(session, kind, stored.first..<min(first, stored.next))
        for serial in max(first, stored.next)..<total {
            batch.put(session, kind, serial) { write(Int(serial &- first), &$0) }
        }
        batch.remove(session, kind, total..<max(total, removedBefore))
        removedBefore = 0
        stored = (first, total)
    }

    /// Passes the stored records to `restore`, oldest first, and returns their watermark. Their numbers must be consecutive.
    static func restoring(
        _ records: [StoredSession.Record], _ restore: (inout RecordReader) throws(RecordError) -> Void
    ) throws(RecordError) -> SerialWatermark {
        var watermark = SerialWatermark()
        let first = records.first?.number ?? 0
        watermark.total = first
        for record in records {
            guard record.number == watermark.total else { throw RecordError() }
            var reader = RecordReader(record.bytes)
            try restore(&reader)
            watermark.added()
        }
        watermark.stored = (first, watermark.total)
        return watermark
    }
}

/// How far a store has followed a queue that grows at its end and shrinks at its beginning, and whose entries are numbered one by one.
struct SerialWatermark: Sendable {
    /// Entries that there ever were: the number of the next one.
    private(set) var total: UInt64 = 0
    /// What the store has: everything before `first` removed, everything before `next` put.
    private var stored: (first: UInt64, next: UInt64) = (0, 0)
    /// The store may have entries before this number that were removed at the end.
    private var removedBefore: UInt64 = 0

    mutating func added() { total &+= 1 }

    /// The newest entries were removed again. Others may be added under their numbers.
    mutating func removed(last count: Int) {
        total &-= UInt64(count)
        guard stored.next > total else { return }
        removedBefore = max(removedBefore, stored.next)
        stored.next = total
    }

    /// Puts what has come since the last call into the batch, and removes what has gone.
    ///
    /// - Parameters:
    ///   - count: entries that there are
    ///   - write: writes the entry at an index, 0 being the oldest
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

    /// Hands over what was written down, the oldest first. The numbers have to be without a gap.
    static func restoring(
        _ records: [StoredSession.Record], _ take: (inout RecordReader) throws(RecordError) -> Void
    ) throws(RecordError) -> SerialWatermark {
        var watermark = SerialWatermark()
        let first = records.first?.number ?? 0
        watermark.total = first
        for record in records {
            guard record.number == watermark.total else { throw RecordError() }
            var reader = RecordReader(record.bytes)
            try take(&reader)
            watermark.added()
        }
        watermark.stored = (first, watermark.total)
        return watermark
    }
}

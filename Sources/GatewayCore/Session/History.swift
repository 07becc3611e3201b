/// What was said in a session, for its report and its upstreams: the last `sessions.history_messages` within `sessions.history_bytes`.
package struct History: Sendable {
    package enum Speaker: UInt8, Sendable { case client, upstream }

    package struct Tag: Sendable {
        package var speaker: Speaker
        /// Unix milliseconds.
        package var at: Int64
    }

    private var ring = RecordRing<Tag>()
    private let maximumCount: Int
    private let maximumBytes: Int
    /// Texts that were ever kept: the serial number of the next one.
    private var total: UInt64 = 0
    /// What the store has: everything before `first` removed, everything before `next` put.
    private var stored: (first: UInt64, next: UInt64) = (0, 0)

    package init(maximumCount: Int, maximumBytes: Int) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    package var count: Int { ring.count }
    package var footprint: Int { ring.footprint }
    /// Bytes by which ``footprint`` grows when a text of `count` bytes is added.
    package func growth(adding count: Int) -> Int { maximumCount > 0 && count <= maximumBytes ? ring.growth(adding: count) : 0 }

    /// Keeps a text, and prunes the oldest ones to stay within the bounds. One that is empty, or over the bounds alone, isn't kept.
    package mutating func append(_ text: RawSpan, by speaker: Speaker, at unixMilliseconds: Int64) {
        guard maximumCount > 0, text.byteCount > 0, text.byteCount <= maximumBytes else { return }
        while ring.count >= maximumCount || ring.byteCount + text.byteCount > maximumBytes { ring.removeFirst() }
        ring.append(text, tag: Tag(speaker: speaker, at: unixMilliseconds))
        total &+= 1
    }

    /// What has come and gone since the last call.
    mutating func store(of session: ULID, into batch: inout StoreBatch) {
        let first = total &- UInt64(ring.count)
        batch.remove(session, .history, stored.first..<min(first, stored.next))
        for serial in max(first, stored.next)..<total {
            let index = Int(serial &- first)
            batch.put(session, .history, serial) { record in
                record.append(ring.tag(at: index).speaker.rawValue)
                record.append(fixed: ring.tag(at: index).at)
                ring.withRecord(at: index) { record.append(bytesOf: $0) }
            }
        }
        stored = (first, total)
    }

    /// As it was written down.
    mutating func restore(_ records: [StoredSession.Record]) throws(RecordError) {
        total = records.first?.number ?? 0
        for record in records {
            var reader = RecordReader(record.bytes)
            guard record.number == total, let speaker = Speaker(rawValue: try reader.fixed()) else { throw RecordError() }
            let at: Int64 = try reader.fixed()
            reader.rest().withRawSpan { append($0, by: speaker, at: at) }
            total = record.number &+ 1
        }
        stored = (records.first?.number ?? 0, total)
    }

    /// Gives up everything, the first thing to go when memory is short.
    package mutating func prune() { ring.removeAll() }

    package func withText<Result>(at index: Int, _ body: (RawSpan, Tag) -> Result) -> Result {
        ring.withRecord(at: index) { body($0, ring.tag(at: index)) }
    }
}

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
    private var watermark = SerialWatermark()

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
        watermark.added()
    }

    /// What has come and gone since the last call.
    mutating func store(of session: ULID, into batch: inout StoreBatch) {
        let ring = ring
        watermark.store(.history, of: session, count: ring.count, into: &batch) { index, record in
            record.append(ring.tag(at: index).speaker.rawValue)
            record.append(fixed: ring.tag(at: index).at)
            ring.withRecord(at: index) { record.append(bytesOf: $0) }
        }
    }

    /// As it was written down.
    mutating func restore(_ records: [StoredSession.Record]) throws(RecordError) {
        watermark = try SerialWatermark.restoring(records) { (reader) throws(RecordError) in
            guard let speaker = Speaker(rawValue: try reader.fixed()) else { throw RecordError() }
            let at: Int64 = try reader.fixed()
            reader.rest().withRawSpan { append($0, by: speaker, at: at) }
        }
    }

    /// Gives up everything, the first thing to go when memory is short.
    package mutating func prune() { ring.removeAll() }

    package func withText<Result>(at index: Int, _ body: (RawSpan, Tag) -> Result) -> Result {
        ring.withRecord(at: index) { body($0, ring.tag(at: index)) }
    }
}

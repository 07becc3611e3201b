/// What was said in a session, for its report and its upstreams: the last `sessions.history_messages` within `sessions.history_bytes`.
package struct History: Sendable {
    package enum Speaker: UInt8, Sendable { case client, upstream }

    package enum Kind: UInt8, Sendable {
        case text
        /// What was heard in a client's audio.
        case transcript
        /// Audio: how much there was, not what.
        case audio
    }

    /// How much audio there was.
    package struct Audio: Sendable, Hashable {
        package var bytes: Int64 = 0
        package var nanoseconds: Int64 = 0

        package init(bytes: Int64 = 0, nanoseconds: Int64 = 0) {
            self.bytes = bytes
            self.nanoseconds = nanoseconds
        }

        mutating func add(_ chunk: RawSpan, lasting duration: Int64) {
            bytes &+= Int64(chunk.byteCount)
            nanoseconds &+= duration
        }
    }

    /// How long an answer took, in microseconds: from the request, or from the end of its audio, to the first and to the last message of it.
    package struct Latency: Sendable, Hashable {
        package var first: UInt32
        package var last: UInt32

        package init(first: UInt32, last: UInt32) {
            self.first = first
            self.last = last
        }
    }

    package struct Tag: Sendable, Hashable {
        package var speaker: Speaker
        package var kind = Kind.text
        /// Unix milliseconds.
        package var at: Int64
        package var audio = Audio()
        /// Where the entry is the last of an answer.
        package var latency: Latency?

        package init(_ speaker: Speaker, _ kind: Kind = .text, at: Int64, audio: Audio = Audio(), latency: Latency? = nil) {
            self.speaker = speaker
            self.kind = kind
            self.at = at
            self.audio = audio
            self.latency = latency
        }
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
    /// Entries that there were and aren't any more.
    package var pruned: UInt64 { watermark.total &- UInt64(ring.count) }
    /// Bytes by which ``footprint`` grows when a text of `count` bytes is added.
    package func growth(adding count: Int) -> Int { maximumCount > 0 && count <= maximumBytes ? ring.growth(adding: count) : 0 }

    /// Keeps an entry, and prunes the oldest ones to stay within the bounds. One over the bounds alone isn't kept, nor one that says nothing.
    ///
    /// - Parameter text: empty for audio, and where only a latency is to be told
    package mutating func append(_ text: RawSpan, _ tag: Tag) {
        guard maximumCount > 0, text.byteCount > 0 || tag.kind == .audio || tag.latency != nil, text.byteCount <= maximumBytes else {
            return
        }
        while ring.count >= maximumCount || ring.byteCount + text.byteCount > maximumBytes { ring.removeFirst() }
        ring.append(text, tag: tag)
        watermark.added()
    }

    /// What has come and gone since the last call.
    mutating func store(of session: ULID, into batch: inout StoreBatch) {
        let ring = ring
        watermark.store(.history, of: session, count: ring.count, into: &batch) { index, record in
            ring.tag(at: index).append(to: &record)
            ring.withRecord(at: index) { record.append(bytesOf: $0) }
        }
    }

    /// As it was written down.
    mutating func restore(_ records: [StoredSession.Record]) throws(RecordError) {
        watermark = try SerialWatermark.restoring(records) { (reader) throws(RecordError) in
            let tag = try Tag(&reader)
            reader.rest().withRawSpan { append($0, tag) }
        }
    }

    /// Gives up everything, the first thing to go when memory is short.
    package mutating func prune() { ring.removeAll() }

    package func withText<Result>(at index: Int, _ body: (RawSpan, Tag) -> Result) -> Result {
        ring.withRecord(at: index) { body($0, ring.tag(at: index)) }
    }
}

extension History.Tag {
    func append(to record: inout [UInt8]) {
        record.append(speaker.rawValue)
        record.append(kind.rawValue)
        record.append(fixed: at)
        if kind == .audio {
            record.append(fixed: audio.bytes)
            record.append(fixed: audio.nanoseconds)
        }
        record.append(latency == nil ? 0 : 1)
        if let latency {
            record.append(fixed: latency.first)
            record.append(fixed: latency.last)
        }
    }

    init(_ reader: inout RecordReader) throws(RecordError) {
        guard let speaker = History.Speaker(rawValue: try reader.fixed()), let kind = History.Kind(rawValue: try reader.fixed()) else {
            throw RecordError()
        }
        self.init(speaker, kind, at: try reader.time())
        if kind == .audio { audio = History.Audio(bytes: try reader.fixed(), nanoseconds: try reader.fixed()) }
        guard audio.bytes >= 0, audio.nanoseconds >= 0 else { throw RecordError() }
        if try reader.flag() { latency = History.Latency(first: try reader.fixed(), last: try reader.fixed()) }
    }
}

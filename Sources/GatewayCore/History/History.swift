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

    /// The part of a request that later requests include in their conversation.
    package enum Standing: UInt8, Sendable {
        /// All of it.
        case kept
        /// Nothing: it has no answer, or a content filter has objected to it.
        case withdrawn
        /// All of it, unless the client has asked the same again: its answer broke off.
        case brokenOff
    }

    package struct Tag: Sendable, Hashable {
        package var speaker: Speaker
        package var kind = Kind.text
        /// Unix milliseconds.
        package var at: Int64
        package var audio = Audio()
        /// Where the entry is the last of an answer.
        package var latency: Latency?
        /// ``RequestKey/number`` of the request that it belongs to, 0 for none.
        package var request: UInt64
        /// Of an answer that was spoken: bytes of it that the client has heard, where it broke off.
        package var heard: UInt32?
        package var standing = Standing.kept

        package init(
            _ speaker: Speaker, _ kind: Kind = .text, at: Int64, audio: Audio = Audio(), latency: Latency? = nil, request: RequestKey? = nil
        ) {
            self.speaker = speaker
            self.kind = kind
            self.at = at
            self.audio = audio
            self.latency = latency
            self.request = request?.number ?? 0
        }
    }

    var ring = RecordRing<Tag>()
    private let maximumCount: Int
    private let maximumBytes: Int
    private var watermark = SerialWatermark()
    /// Serial numbers of entries that have changed since the store got them.
    private var changed: Set<UInt64> = []

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

    /// Forgets what belongs to requests that began last, or nearly so: the work grows with the number of entries behind their first.
    package mutating func forget(_ requests: Set<RequestKey>) {
        guard let first = (0..<ring.count).first(where: { requests.contains(RequestKey(number: ring.tag(at: $0).request)) }) else { return }
        let serial = pruned &+ UInt64(first)
        let count = ring.count - first
        var behind: [(text: [UInt8], tag: Tag)] = []
        for index in first..<ring.count where !requests.contains(RequestKey(number: ring.tag(at: index).request)) {
            var text: [UInt8] = []
            ring.withRecord(at: index) { text.append(bytesOf: $0) }
            behind.append((text, ring.tag(at: index)))
        }
        for _ in 0..<count { ring.removeLast() }
        watermark.removed(last: count)
        changed = changed.filter { $0 < serial }
        for (text, tag) in behind { text.withRawSpan { append($0, tag) } }
    }

    /// What has come and gone since the last call.
    mutating func store(of session: ULID, into batch: inout StoreBatch) {
        let ring = ring
        func write(_ index: Int, to record: inout [UInt8]) {
            ring.tag(at: index).append(to: &record)
            ring.withRecord(at: index) { record.append(bytesOf: $0) }
        }
        for serial in changed where serial >= pruned { batch.put(session, .history, serial) { write(Int(serial - pruned), to: &$0) } }
        changed = []
        watermark.store(.history, of: session, count: ring.count, into: &batch, write)
    }

    /// The client has heard no more than so many bytes of what was answered to a request. Called again, the last word counts.
    ///
    /// - Returns: whether there is such an answer.
    package mutating func setHeard(_ bytes: Int, of request: RequestKey) -> Bool {
        var left = bytes
        var isFound = false
        for index in 0..<ring.count {
            let tag = ring.tag(at: index)
            guard tag.request == request.number, tag.speaker == .upstream, tag.kind == .text else { continue }
            let count = ring.recordCount(at: index)
            let heard = min(max(left, 0), count)
            left -= count
            isFound = true
            guard tag.heard.map(Int.init) ?? count != heard else { continue }
            ring.updateTag(at: index) { $0.heard = UInt32(clamping: heard) }
            changed.insert(pruned &+ UInt64(index))
        }
        return isFound
    }

    /// Sets which part of a completed request later requests include.
    package mutating func setStanding(_ standing: Standing, of request: RequestKey) {
        for index in (0..<ring.count).reversed() {
            let tag = ring.tag(at: index)
            guard tag.request == request.number, tag.standing != standing else { continue }
            ring.updateTag(at: index) { $0.standing = standing }
            changed.insert(pruned &+ UInt64(index))
            // Nothing of a request comes before what the client said.
            if tag.speaker == .client, tag.kind == .text { return }
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

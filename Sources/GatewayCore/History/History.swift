// SPDX-License-Identifier: Apache-2.0

/// The conversation of a session, for its report and its upstreams: the last `sessions.history_messages` within `sessions.history_bytes`.
package struct History: Sendable {
    package enum Speaker: UInt8, Sendable { case client, upstream }

    package enum Kind: UInt8, Sendable {
        case text
        /// The transcript of a client's audio.
        case transcript
        /// The amount of audio, not its content.
        case audio
    }

    /// An amount of audio.
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

    /// The latency of a response in microseconds: from the request, or the end of its audio, to the first and to the last message.
    package struct Latency: Sendable, Hashable {
        package var first: UInt32
        package var last: UInt32

        package init(first: UInt32, last: UInt32) {
            self.first = first
            self.last = last
        }
    }

    /// Whether later requests include a request and its response in their conversation.
    package enum Inclusion: UInt8, Sendable {
        case included
        /// Not included: there is no response, or a content filter blocked the request.
        case excluded
        /// Included unless the client repeats the request, because its response broke off.
        case incomplete
    }

    package struct Tag: Sendable, Hashable {
        package var speaker: Speaker
        package var kind = Kind.text
        /// Unix milliseconds.
        package var at: Int64
        package var audio = Audio()
        /// Set on the last entry of a response.
        package var latency: Latency?
        /// ``RequestKey/number`` of the request that the entry belongs to; 0 for none.
        package var request: UInt64
        /// For a spoken response that was cut off: how many bytes of its text were played.
        package var played: UInt32?
        package var inclusion = Inclusion.included

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
    /// Serial numbers of entries that have changed since they were added to a batch.
    private var changed: Set<UInt64> = []

    package init(maximumCount: Int, maximumBytes: Int) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    package var count: Int { ring.count }
    package var footprint: Int { ring.footprint }
    /// Number of entries that were removed.
    package var pruned: UInt64 { watermark.total &- UInt64(ring.count) }
    /// Bytes by which ``footprint`` grows when a text of `count` bytes is added.
    package func growth(adding count: Int) -> Int { maximumCount > 0 && count <= maximumBytes ? ring.growth(adding: count) : 0 }

    /// Adds an entry, and removes the oldest ones to stay within the bounds. Ignores an entry that is empty or exceeds a bound by itself.
    ///
    /// - Parameter text: empty for audio, and for an entry that only has a latency
    package mutating func append(_ text: RawSpan, _ tag: Tag) {
        guard maximumCount > 0, text.byteCount > 0 || tag.kind == .audio || tag.latency != nil, text.byteCount <= maximumBytes else {
            return
        }
        while ring.count >= maximumCount || ring.byteCount + text.byteCount > maximumBytes { ring.removeFirst() }
        ring.append(text, tag: tag)
        watermark.added()
    }

    /// Removes the entries of recent requests. The cost grows with the number of entries after the first of them.
    package mutating func removeEntries(of requests: Set<RequestKey>) {
        guard let first = (0..<ring.count).first(where: { requests.contains(RequestKey(number: ring.tag(at: $0).request)) }) else { return }
        let serial = pruned &+ UInt64(first)
        let count = ring.count - first
        var later: [(text: [UInt8], tag: Tag)] = []
        for index in first..<ring.count where !requests.contains(RequestKey(number: ring.tag(at: index).request)) {
            var text: [UInt8] = []
            ring.withRecord(at: index) { text.append(bytesOf: $0) }
            later.append((text, ring.tag(at: index)))
        }
        for _ in 0..<count { ring.removeLast() }
        watermark.removed(last: count)
        changed = changed.filter { $0 < serial }
        for (text, tag) in later { text.withRawSpan { append($0, tag) } }
    }

    /// Adds the changes since the last call to the batch.
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

    /// Records that only the first `bytes` bytes of the response to a request were played. A later call replaces an earlier one.
    ///
    /// - Returns: whether the history has a response to that request.
    package mutating func setPlayed(_ bytes: Int, of request: RequestKey) -> Bool {
        var left = bytes
        var isFound = false
        for index in 0..<ring.count {
            let tag = ring.tag(at: index)
            guard tag.request == request.number, tag.speaker == .upstream, tag.kind == .text else { continue }
            let count = ring.recordCount(at: index)
            let played = min(max(left, 0), count)
            left -= count
            isFound = true
            guard tag.played.map(Int.init) ?? count != played else { continue }
            ring.updateTag(at: index) { $0.played = UInt32(clamping: played) }
            changed.insert(pruned &+ UInt64(index))
        }
        return isFound
    }

    /// Sets whether later requests include a completed request in their conversation.
    package mutating func setInclusion(_ inclusion: Inclusion, of request: RequestKey) {
        for index in (0..<ring.count).reversed() {
            let tag = ring.tag(at: index)
            guard tag.request == request.number, tag.inclusion != inclusion else { continue }
            ring.updateTag(at: index) { $0.inclusion = inclusion }
            changed.insert(pruned &+ UInt64(index))
            // The client's text is the first entry of a request.
            if tag.speaker == .client, tag.kind == .text { return }
        }
    }

    /// Restores the stored entries.
    mutating func restore(_ records: [StoredSession.Record]) throws(RecordError) {
        watermark = try SerialWatermark.restoring(records) { (reader) throws(RecordError) in
            let tag = try Tag(&reader)
            reader.rest().withRawSpan { append($0, tag) }
        }
    }

    /// Removes all entries. The history is the first memory to be reclaimed.
    package mutating func prune() { ring.removeAll() }

    package func withText<Result>(at index: Int, _ body: (RawSpan, Tag) -> Result) -> Result {
        ring.withRecord(at: index) { body($0, ring.tag(at: index)) }
    }
}

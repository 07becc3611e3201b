/// The sequenced messages of a session, from their making until the client has acknowledged them.
///
/// It is the delivery queue as well: a cursor parts what the socket has taken from what waits for it. Protocol page, section "Sessions
/// and resume": `seq` grows by one per message, binary frames included, and only a JSON message may jump.
package struct Outbox: Sendable {
    package enum Kind: UInt8, Sendable {
        case json
        /// The JSON message that opens an audio answer.
        case opening
        case binary
    }

    package struct Tag: Sendable {
        package var sequence: UInt64
        package var kind: Kind
        package var request: RequestKey?
    }

    var ring = RecordRing<Tag>()
    /// How many of the oldest entries the socket has taken.
    private var written = 0
    private var unwrittenBytes = 0
    /// What the client said that it has.
    var acknowledged: UInt64 = 0
    /// Entries were dropped from the middle since the store last heard of them.
    var hasGaps = false
    /// What the store has: everything before `first` removed, everything up to `last` put.
    var stored: (first: UInt64, last: UInt64) = (0, 0)
    /// Up to here nothing is kept any more, because the client has it or because it was dropped.
    var goneThrough: UInt64 = 0
    private var isDetached = false
    /// The highest sequence number given out.
    package internal(set) var lastSequence: UInt64 = 0
    private let maximumCount: Int
    private let maximumBytes: Int

    package init(maximumCount: Int, maximumBytes: Int) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    package var count: Int { ring.count }
    package var footprint: Int { ring.footprint }
    /// Bytes by which ``footprint`` grows when a message of `count` bytes is added.
    package func growth(adding count: Int) -> Int { ring.growth(adding: count) }
    /// Bytes waiting for the socket.
    package var waitingBytes: Int { unwrittenBytes }
    package var hasWaiting: Bool { written < ring.count }

    /// How many messages may come before the oldest that the client hasn't got would have to go: 0 also when their bytes fill it.
    package var room: Int {
        let waiting = ring.count - written
        return unwrittenBytes < maximumBytes ? max(0, maximumCount - waiting) : 0
    }

    /// The number that the next message will carry.
    package var nextSequence: UInt64 { lastSequence &+ 1 }

    /// Keeps the message numbered ``nextSequence``. When the bounds are reached the oldest go: the written ones only, while there is a
    /// socket to write the others to.
    package mutating func append(_ message: RawSpan, kind: Kind, request: RequestKey?) {
        lastSequence = nextSequence
        ring.append(message, tag: Tag(sequence: lastSequence, kind: kind, request: request))
        unwrittenBytes += message.byteCount
        trim()
    }

    /// Hands every waiting message, oldest first, to `write` until it returns false; what it took counts as written.
    ///
    /// - Parameter limit: the highest number that may go out yet
    package mutating func drain(upTo limit: UInt64 = .max, _ write: (RawSpan, Kind) -> Bool) {
        while written < ring.count {
            let tag = ring.tag(at: written)
            guard tag.sequence <= limit, ring.withRecord(at: written, { write($0, tag.kind) }) else { break }
            unwrittenBytes -= ring.recordCount(at: written)
            written += 1
        }
        trim()
    }

    /// The client has everything up to `sequence`.
    package mutating func acknowledge(_ sequence: UInt64) {
        acknowledged = max(acknowledged, min(sequence, lastSequence))
        while written > 0, ring.tag(at: 0).sequence <= sequence { removeFirst() }
    }

    /// The connection is gone: nobody knows which of the written messages arrived.
    package mutating func detach() {
        written = 0
        unwrittenBytes = ring.byteCount
        isDetached = true
        trim()
    }

    /// A new connection has everything up to `last`: the rest is to be written, again or for the first time.
    ///
    /// After a loss it begins with a JSON message, which alone may jump, and frames of an audio answer whose opening is gone are dropped.
    ///
    /// - Parameter last: at most ``lastSequence``; nil when the client doesn't say, and what it has acknowledged counts.
    /// - Returns: whether something behind `last` is gone.
    package mutating func rewind(after last: UInt64?) -> Bool {
        detach()
        isDetached = false
        let last = last ?? acknowledged
        acknowledged = max(acknowledged, last)
        let isLost = last < goneThrough
        while !ring.isEmpty, ring.tag(at: 0).sequence <= last { removeFirst() }
        if isLost { dropFramesWithoutOpening() }
        return isLost
    }

    /// Drops what waits for the socket on behalf of a cancelled request. The JSON message that follows jumps over the gap.
    ///
    /// A binary frame can't jump: a JSON message with a frame of another request right behind it stays, and goes out after all.
    package mutating func dropWaiting(of request: RequestKey) {
        guard (written..<ring.count).contains(where: { ring.tag(at: $0).request == request }) else { return }
        keep { outbox, index in
            index < outbox.written || outbox.ring.tag(at: index).request != request || outbox.isCountedFrom(index)
        }
    }

    /// Whether the message at `index` is JSON that a binary frame of another request counts on from.
    private func isCountedFrom(_ index: Int) -> Bool {
        guard index + 1 < ring.count, ring.tag(at: index).kind != .binary else { return false }
        let next = ring.tag(at: index + 1)
        return next.kind == .binary && next.request != ring.tag(at: index).request
    }

    private mutating func dropFramesWithoutOpening() {
        guard (0..<ring.count).contains(where: { ring.tag(at: $0).kind == .binary }) else { return }
        let opening = (0..<ring.count).first { ring.tag(at: $0).kind == .opening } ?? ring.count
        keep { outbox, index in index > opening || outbox.ring.tag(at: index).kind != .binary }
    }

    /// Drops the entries for which `isKept` says no. Only of those that wait.
    private mutating func keep(_ isKept: (borrowing Outbox, Int) -> Bool) {
        var kept = RecordRing<Tag>()
        for index in 0..<ring.count {
            if isKept(self, index) {
                ring.withRecord(at: index) { kept.append($0, tag: ring.tag(at: index)) }
            } else {
                unwrittenBytes -= ring.recordCount(at: index)
            }
        }
        ring = kept
        hasGaps = true
    }

    private mutating func trim() {
        while isDetached ? !ring.isEmpty : written > 0, ring.count > maximumCount || ring.byteCount > maximumBytes { removeFirst() }
    }

    private mutating func removeFirst() {
        let count = ring.isEmpty ? 0 : ring.recordCount(at: 0)
        guard let tag = ring.removeFirst() else { return }
        goneThrough = tag.sequence
        if written > 0 { written -= 1 } else { unwrittenBytes -= count }
    }
}

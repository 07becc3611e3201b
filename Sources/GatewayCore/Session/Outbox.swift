/// The sequenced messages of a session, from their making until the client has acknowledged them.
///
/// It is the delivery queue as well: a cursor parts what the socket has taken from what waits for it. Protocol page, section "Sessions
/// and resume": `seq` grows by one per message, binary frames included, and only a JSON message may jump.
package struct Outbox: Sendable {
    package enum Kind: UInt8, Sendable { case json, binary }

    package struct Tag: Sendable {
        package var sequence: UInt64
        package var kind: Kind
        package var request: RequestKey?
    }

    private var ring = RecordRing<Tag>()
    /// How many of the oldest entries the socket has taken.
    private var written = 0
    private var unwrittenBytes = 0
    /// The highest sequence number given out.
    package private(set) var lastSequence: UInt64 = 0
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

    /// The number that the next message will carry.
    package var nextSequence: UInt64 { lastSequence &+ 1 }

    /// Keeps the message numbered ``nextSequence``; the oldest written ones go when the bounds are reached.
    package mutating func append(_ message: RawSpan, kind: Kind, request: RequestKey?) {
        lastSequence = nextSequence
        ring.append(message, tag: Tag(sequence: lastSequence, kind: kind, request: request))
        unwrittenBytes += message.byteCount
        trim()
    }

    /// Hands every waiting message, oldest first, to `write` until it returns false; what it took counts as written.
    package mutating func drain(_ write: (RawSpan, Kind) -> Bool) {
        while written < ring.count {
            let kind = ring.tag(at: written).kind
            guard ring.withRecord(at: written, { write($0, kind) }) else { break }
            unwrittenBytes -= ring.recordCount(at: written)
            written += 1
        }
        trim()
    }

    /// The client has everything up to `sequence`.
    package mutating func acknowledge(_ sequence: UInt64) {
        while written > 0, ring.tag(at: 0).sequence <= sequence {
            ring.removeFirst()
            written -= 1
        }
    }

    /// Drops what waits for the socket on behalf of a cancelled request. The JSON message that follows jumps over the gap.
    ///
    /// A binary frame can't jump: a JSON message with a frame of another request right behind it stays, and goes out after all.
    package mutating func dropWaiting(of request: RequestKey) {
        guard (written..<ring.count).contains(where: { ring.tag(at: $0).request == request }) else { return }
        var kept = RecordRing<Tag>()
        for index in 0..<ring.count {
            let tag = ring.tag(at: index)
            if index >= written, tag.request == request, !isCountedFrom(index) {
                unwrittenBytes -= ring.recordCount(at: index)
            } else {
                ring.withRecord(at: index) { kept.append($0, tag: tag) }
            }
        }
        ring = kept
    }

    /// Whether the message at `index` is JSON that a binary frame of another request counts on from.
    private func isCountedFrom(_ index: Int) -> Bool {
        guard index + 1 < ring.count, ring.tag(at: index).kind == .json else { return false }
        let next = ring.tag(at: index + 1)
        return next.kind == .binary && next.request != ring.tag(at: index).request
    }

    private mutating func trim() {
        while written > 0, ring.count > maximumCount || ring.byteCount > maximumBytes {
            ring.removeFirst()
            written -= 1
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The sequenced messages of a session that the client hasn't acknowledged.
///
/// The outbox is also the delivery queue: a cursor separates messages written to the socket from those that wait for it. Protocol page,
/// section "Sessions and resume": `seq` increases by one per message, binary frames included, and only a JSON message may skip numbers.
package struct Outbox: Sendable {
    package enum Kind: UInt8, Sendable {
        case json
        /// The JSON message that opens an audio response.
        case opening
        case binary
    }

    package struct Tag: Sendable {
        package var sequence: UInt64
        package var kind: Kind
        package var request: RequestKey?
    }

    var ring = RecordRing<Tag>()
    /// Number of entries written to the socket, counted from the oldest.
    var written = 0
    var unwrittenBytes = 0
    /// The highest sequence number that was written to an earlier connection, or may have been.
    var writtenThrough: UInt64 = 0
    /// The highest sequence number that the client has acknowledged.
    var acknowledged: UInt64 = 0
    /// Whether entries were dropped from the middle since the last ``store(of:into:)``.
    var hasGaps = false
    /// The state of the store: entries before `first` have been removed, and entries up to `last` have been put.
    var stored: (first: UInt64, last: UInt64) = (0, 0)
    /// The highest sequence number of a removed message, acknowledged or dropped.
    var removedThrough: UInt64 = 0
    private var isDetached = false
    /// The highest assigned sequence number.
    package internal(set) var lastSequence: UInt64 = 0
    let maximumCount: Int
    let maximumBytes: Int
    /// Whether binary messages are stored; see ``SessionPolicy/storesAudioFrames``.
    let storesFrames: Bool

    package init(maximumCount: Int, maximumBytes: Int, storesFrames: Bool = true) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
        self.storesFrames = storesFrames
    }

    package var count: Int { ring.count }
    package var footprint: Int { ring.footprint }
    /// Bytes by which ``footprint`` grows when a message of `count` bytes is added.
    package func growth(adding count: Int) -> Int { ring.growth(adding: count) }
    /// Bytes waiting for the socket.
    package var waitingBytes: Int { unwrittenBytes }
    package var hasWaiting: Bool { written < ring.count }
    /// The sequence number of the first message that waits for the socket; `UInt64.max` when none does.
    var firstWaitingSequence: UInt64 { written < ring.count ? ring.tag(at: written).sequence : .max }

    /// Number of messages that fit before an unwritten one is dropped; 0 also when the unwritten bytes reach the bound.
    package var freeCount: Int {
        let waiting = ring.count - written
        return unwrittenBytes < maximumBytes ? max(0, maximumCount - waiting) : 0
    }

    /// The sequence number of the next message.
    package var nextSequence: UInt64 { lastSequence &+ 1 }

    /// Appends the message with the number ``nextSequence``. Over the bounds, the oldest messages are dropped; while a connection is
    /// attached, only written ones.
    package mutating func append(_ message: RawSpan, kind: Kind, request: RequestKey?) {
        lastSequence = nextSequence
        ring.append(message, tag: Tag(sequence: lastSequence, kind: kind, request: request))
        unwrittenBytes += message.byteCount
        trim()
    }

    /// Passes the waiting messages, oldest first, to `write` until it returns false. A message for which it returns true counts as written.
    ///
    /// - Parameter limit: the highest sequence number that may be sent yet
    package mutating func drain(upTo limit: UInt64 = .max, _ write: (RawSpan, Kind) -> Bool) {
        drainTagged(upTo: limit) { write($0, $1.kind) }
    }

    /// Passes the waiting messages with their tags.
    package mutating func drainTagged(upTo limit: UInt64, _ write: (RawSpan, Tag) -> Bool) {
        while written < ring.count {
            let tag = ring.tag(at: written)
            guard tag.sequence <= limit, ring.withRecord(at: written, { write($0, tag) }) else { break }
            unwrittenBytes -= ring.recordCount(at: written)
            written += 1
        }
        trim()
    }

    /// Removes the messages up to `sequence`, which the client has received.
    package mutating func acknowledge(_ sequence: UInt64) {
        acknowledged = max(acknowledged, min(sequence, lastSequence))
        while written > 0, ring.tag(at: 0).sequence <= sequence { removeFirst() }
    }

    /// Handles the end of the connection: all messages wait again, because it is unknown which of the written ones arrived.
    package mutating func detach() {
        if written > 0 { writtenThrough = max(writtenThrough, ring.tag(at: written - 1).sequence) }
        written = 0
        unwrittenBytes = ring.byteCount
        isDetached = true
        trim()
    }

    /// Handles a new connection whose client has received everything up to `last`: the later messages wait, again or for the first time.
    ///
    /// After a loss, frames of an audio response whose opening was dropped are dropped, too. The first message is then JSON, because only
    /// JSON may skip numbers.
    ///
    /// - Parameter last: at most ``lastSequence``; nil when the client sent none: then the highest acknowledged number is used.
    /// - Returns: whether messages after `last` were dropped.
    package mutating func rewind(after last: UInt64?) -> Bool {
        detach()
        isDetached = false
        let last = last ?? acknowledged
        acknowledged = max(acknowledged, last)
        let isLost = last < removedThrough
        while !ring.isEmpty, ring.tag(at: 0).sequence <= last { removeFirst() }
        if isLost { dropFramesWithoutOpening() }
        return isLost
    }

    /// Drops the waiting messages of a cancelled request. The JSON message that follows skips their numbers.
    ///
    /// A binary frame can't skip numbers, so a JSON message directly before a frame of another request is sent nevertheless.
    package mutating func dropWaiting(of request: RequestKey) {
        guard (written..<ring.count).contains(where: { ring.tag(at: $0).request == request }) else { return }
        retainEntries { outbox, index in
            index < outbox.written || outbox.ring.tag(at: index).request != request || outbox.precedesForeignFrame(index)
        }
    }

    /// Whether the message at `index` is JSON and directly followed by a binary frame of another request.
    func precedesForeignFrame(_ index: Int) -> Bool {
        guard index + 1 < ring.count, ring.tag(at: index).kind != .binary else { return false }
        let next = ring.tag(at: index + 1)
        return next.kind == .binary && next.request != ring.tag(at: index).request
    }

    private mutating func dropFramesWithoutOpening() {
        guard (0..<ring.count).contains(where: { ring.tag(at: $0).kind == .binary }) else { return }
        let opening = (0..<ring.count).first { ring.tag(at: $0).kind == .opening } ?? ring.count
        retainEntries { outbox, index in index > opening || outbox.ring.tag(at: index).kind != .binary }
    }

    /// Drops the entries for which `isRetained` returns false. Only waiting entries may be dropped.
    private mutating func retainEntries(_ isRetained: (borrowing Outbox, Int) -> Bool) {
        var retained = RecordRing<Tag>()
        for index in 0..<ring.count {
            if isRetained(self, index) {
                ring.withRecord(at: index) { retained.append($0, tag: ring.tag(at: index)) }
            } else {
                unwrittenBytes -= ring.recordCount(at: index)
            }
        }
        ring = retained
        hasGaps = true
    }

    private mutating func trim() {
        while isDetached ? !ring.isEmpty : written > 0, ring.count > maximumCount || ring.byteCount > maximumBytes { removeFirst() }
    }

    private mutating func removeFirst() {
        let count = ring.isEmpty ? 0 : ring.recordCount(at: 0)
        guard let tag = ring.removeFirst() else { return }
        removedThrough = tag.sequence
        if written > 0 { written -= 1 } else { unwrittenBytes -= count }
    }
}

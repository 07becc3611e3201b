// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// A queue of byte records, oldest first, whose bytes are stored in one circular block.
///
/// History, outbox and recent ids are such queues. Once the block has grown to what the session needs, appending a record and removing
/// the oldest don't allocate; an emptied ring holds at most 4 KB. A record is never split, so that it can be accessed as one span.
package struct RecordRing<Tag: Sendable>: Sendable {
    private struct Entry: Sendable {
        var offset: Int
        var count: Int
        var tag: Tag
    }

    private var entries: Deque<Entry> = []
    private var block: [UInt8] = []
    /// The offset of the next record, if it fits there.
    private var tail = 0
    /// The highest count of `entries` so far, because a deque doesn't expose its capacity.
    private var peakEntryCount = 0
    /// Bytes of all records.
    package private(set) var byteCount = 0

    package init() {}

    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }

    /// Allocated bytes, used or unused.
    package var footprint: Int { block.capacity + peakEntryCount * MemoryLayout<Entry>.stride }

    /// Bytes by which ``footprint`` grows when a record of `count` bytes is added.
    package func growth(adding count: Int) -> Int { room(for: count) != nil ? 0 : capacity(toHold: byteCount + count) - block.capacity }

    package func tag(at index: Int) -> Tag { entries[index].tag }

    package mutating func updateTag(at index: Int, _ change: (inout Tag) -> Void) { change(&entries[index].tag) }

    /// Bytes of the record at `index`.
    package func recordCount(at index: Int) -> Int { entries[index].count }

    /// Calls `body` with the record at `index`; 0 is the oldest.
    package func withRecord<Result>(at index: Int, _ body: (RawSpan) -> Result) -> Result {
        let entry = entries[index]
        return block.withRawSpan { body($0.extracting(entry.offset..<entry.offset + entry.count)) }
    }

    package mutating func append(_ record: RawSpan, tag: Tag) {
        let count = record.byteCount
        let offset = place(for: count)
        unsafe block.withUnsafeMutableBytes { destination in
            // ``place(for:)`` returns an offset with room for the range.
            unsafe record.withUnsafeBytes { unsafe destination[offset..<offset + count].copyBytes(from: $0) }
        }
        entries.append(Entry(offset: offset, count: count, tag: tag))
        peakEntryCount = max(peakEntryCount, entries.count)
        tail = offset + count
        byteCount += count
    }

    /// Removes the oldest record. An emptied ring frees its memory if it held more than `keeping` bytes.
    @discardableResult
    package mutating func removeFirst(keeping: Int = 4096) -> Tag? {
        guard let first = entries.popFirst() else { return nil }
        byteCount -= first.count
        if entries.isEmpty {
            tail = 0
            if footprint > keeping {
                block = []
                entries = []
                peakEntryCount = 0
            }
        }
        return first.tag
    }

    /// Removes the newest record.
    package mutating func removeLast() {
        guard let last = entries.popLast() else { return }
        byteCount -= last.count
        tail = entries.last.map { $0.offset + $0.count } ?? 0
    }

    package mutating func removeAll() { self = RecordRing() }

    /// Returns an offset with room for `count` bytes, after moving all records to a larger block if necessary.
    private mutating func place(for count: Int) -> Int {
        if let offset = room(for: count) { return offset }
        grow(to: byteCount + count)
        return tail
    }

    /// Returns an offset with room for `count` bytes: after the tail or before the head, or, once wrapped, between tail and head.
    private func room(for count: Int) -> Int? {
        guard let first = entries.first, let last = entries.last else { return count <= block.count ? 0 : nil }
        if last.offset >= first.offset {
            if tail + count <= block.count { return tail }
            return count < first.offset ? 0 : nil
        }
        return tail + count < first.offset ? tail : nil
    }

    private func capacity(toHold needed: Int) -> Int { max(needed, min(block.capacity * 2, needed * 2), 64) }

    private mutating func grow(to needed: Int) {
        // Zeroed as a whole: appending record by record would fill it byte by byte.
        var larger = [UInt8](repeating: 0, count: capacity(toHold: needed))
        tail = 0
        for index in entries.indices {
            let entry = entries[index]
            unsafe larger.withUnsafeMutableBytes { destination in
                // The new block has room for all records.
                block.withRawSpan {
                    unsafe $0.extracting(entry.offset..<entry.offset + entry.count).withUnsafeBytes {
                        unsafe destination[tail..<tail + entry.count].copyBytes(from: $0)
                    }
                }
            }
            entries[index].offset = tail
            tail += entry.count
        }
        block = larger
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The ids of the last accepted messages, to detect duplicates (`sessions.duplicate_ids`).
///
/// The ids are stored in a ring; an open-addressing hash index over the ring finds an id in constant time. Hashes are seeded per process,
/// so that a client can't choose ids that collide.
package struct RecentIDs: Sendable {
    /// The kind of message that an id belongs to. The same id with the other kind is rejected as `duplicate_id`.
    package enum Kind: UInt8, Sendable { case text, audio }

    private struct Tag: Sendable {
        var hash: UInt32
        var kind: Kind
    }

    private var ring = RecordRing<Tag>()
    /// The hash index. A slot holds the serial number of an id plus one; 0 if it is free. The number of slots is a power of two, at least
    /// twice the number of ids.
    private var slots: [UInt32] = []
    /// The serial number of the oldest id in the ring.
    private var oldest: UInt32 = 0
    private let capacity: Int

    package init(capacity: Int) { self.capacity = capacity }

    private var watermark = SerialWatermark()

    package var count: Int { ring.count }
    package var footprint: Int { ring.footprint + slots.capacity * MemoryLayout<UInt32>.stride }

    package func kind(of id: MessageID) -> Kind? {
        guard !slots.isEmpty else { return nil }
        let hash = Self.hash(id)
        var slot = Int(hash) & (slots.count - 1)
        while slots[slot] != 0 {
            let index = Int(slots[slot] &- 1 &- oldest)
            let tag = ring.tag(at: index)
            if tag.hash == hash, ring.withRecord(at: index, { id.equals($0) }) { return tag.kind }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// Adds an id that isn't in the set yet, and removes the oldest id at capacity.
    package mutating func insert(_ id: MessageID, kind: Kind) {
        guard capacity > 0 else { return }
        if ring.count >= capacity { removeOldest() }
        if (ring.count + 1) * 2 > slots.count { rebuild(slotCount: max(16, slots.count * 2)) }
        let hash = Self.hash(id)
        id.withBytes { ring.append($0, tag: Tag(hash: hash, kind: kind)) }
        watermark.added()
        place(serial: oldest &+ UInt32(truncatingIfNeeded: ring.count - 1), hash: hash)
    }

    /// Removes recently added ids. The cost grows with the number of ids added after them.
    package mutating func remove(_ ids: [MessageID]) {
        var remaining = Set(ids)
        var later: [(id: MessageID, kind: Kind)] = []
        var removedCount = 0
        while !remaining.isEmpty, ring.count > 0 {
            let index = ring.count - 1
            let kind = ring.tag(at: index).kind
            let id = ring.withRecord(at: index) { MessageID($0) }
            ring.removeLast()
            removedCount += 1
            if let id, remaining.remove(id) == nil { later.append((id, kind)) }
        }
        guard removedCount > 0 else { return }
        watermark.removed(last: removedCount)
        rebuild(slotCount: slots.count)
        for (id, kind) in later.reversed() { insert(id, kind: kind) }
    }

    /// Adds the changes since the last call to the batch.
    mutating func store(of session: ULID, into batch: inout StoreBatch) {
        let ring = ring
        watermark.store(.id, of: session, count: ring.count, into: &batch) { index, record in
            record.append(ring.tag(at: index).kind.rawValue)
            ring.withRecord(at: index) { record.append(bytesOf: $0) }
        }
    }

    /// Restores the stored ids. With a smaller capacity than before, only the newest remain.
    mutating func restore(_ records: [StoredSession.Record]) throws(RecordError) {
        watermark = try SerialWatermark.restoring(records) { (reader) throws(RecordError) in
            guard let kind = Kind(rawValue: try reader.fixed()), let id = reader.rest().withRawSpan({ MessageID($0) }),
                self.kind(of: id) == nil
            else { throw RecordError() }
            insert(id, kind: kind)
        }
    }

    private mutating func removeOldest() {
        let hash = ring.tag(at: 0).hash
        let mask = slots.count - 1
        var hole = Int(hash) & mask
        while slots[hole] != oldest &+ 1 { hole = (hole + 1) & mask }
        // Backward-shift deletion: no tombstones, so that probes stay short for as long as a session lives.
        var next = (hole + 1) & mask
        while slots[next] != 0 {
            let home = Int(ring.tag(at: Int(slots[next] &- 1 &- oldest)).hash) & mask
            if (next - home) & mask >= (next - hole) & mask {
                slots[hole] = slots[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        slots[hole] = 0
        ring.removeFirst()
        oldest &+= 1
        // A serial number plus one must not be 0, which marks a free slot: the numbers restart long before they overflow.
        if oldest > 1 << 31 {
            oldest = 0
            rebuild(slotCount: slots.count)
        }
    }

    private mutating func rebuild(slotCount: Int) {
        slots = [UInt32](repeating: 0, count: slotCount)
        for index in 0..<ring.count { place(serial: oldest &+ UInt32(truncatingIfNeeded: index), hash: ring.tag(at: index).hash) }
    }

    private mutating func place(serial: UInt32, hash: UInt32) {
        var slot = Int(hash) & (slots.count - 1)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = serial &+ 1
    }

    private static func hash(_ id: MessageID) -> UInt32 { UInt32(truncatingIfNeeded: id.hashValue) }
}

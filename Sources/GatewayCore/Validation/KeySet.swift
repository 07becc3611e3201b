// SPDX-License-Identifier: Apache-2.0

/// The unknown keys of one object, to detect duplicates.
///
/// A few verbatim keys are compared with each other. More keys, or any with an escape, are stored in a hash table. Its hash is SipHash
/// with a random key per process (`Hasher`), so that no choice of keys makes the scan slower than linear.
/// ``removeAll()`` frees the memory of a large table.
struct KeySet {
    private static let maximumListCount = 8
    private static let minimumSlots = 64
    private static let maximumRetainedSlots = 1024

    private var list: [TextSlice] = []
    /// The number of keys in the table.
    private var count = 0
    /// The slots of the table, with open addressing. The upper half of a slot is the hash, the lower half is the offset of the key. A free
    /// slot is 0, because no key begins at offset 0.
    private var slots: [UInt64] = []
    private var isTable = false
    private var unescaped: [UInt8] = []

    mutating func removeAll() {
        list.removeAll(keepingCapacity: true)
        guard isTable else { return }
        isTable = false
        count = 0
        if slots.count > Self.maximumRetainedSlots {
            slots = []
        } else {
            for index in slots.indices { slots[index] = 0 }
        }
        if unescaped.capacity > Self.maximumRetainedSlots { unescaped = [] }
    }

    /// Inserts a key, and returns false if it is a duplicate. Keys are compared unescaped, but not sanitized.
    mutating func insert(_ key: TextSlice, in bytes: RawSpan) -> Bool {
        if !isTable {
            if key.isVerbatim && list.count < Self.maximumListCount {
                for other in list where Self.areEqual(other, key, in: bytes) { return false }
                list.append(key)
                return true
            }
            makeTable(in: bytes)
        }
        if (count &+ 1) &* 2 > slots.count { grow() }
        return insert(key, hash: hash(of: key, in: bytes), in: bytes)
    }

    private static func areEqual(_ left: TextSlice, _ right: TextSlice, in bytes: RawSpan) -> Bool {
        guard left.rawCount == right.rawCount else { return false }
        for index in 0..<left.rawCount where bytes.byte(at: left.start &+ index) != bytes.byte(at: right.start &+ index) { return false }
        return true
    }

    private mutating func makeTable(in bytes: RawSpan) {
        isTable = true
        if slots.isEmpty { slots = [UInt64](repeating: 0, count: Self.minimumSlots) }
        for key in list { _ = insert(key, hash: hash(of: key, in: bytes), in: bytes) }
    }

    private mutating func insert(_ key: TextSlice, hash: UInt32, in bytes: RawSpan) -> Bool {
        let mask = slots.count &- 1
        var index = Int(hash) & mask
        while slots[index] != 0 {
            if UInt32(truncatingIfNeeded: slots[index] &>> 32) == hash {
                let other = Int(UInt32(truncatingIfNeeded: slots[index]))
                if Self.unescaped(from: other, in: bytes) == Self.unescaped(from: key.start, in: bytes) { return false }
            }
            index = (index &+ 1) & mask
        }
        slots[index] = UInt64(hash) &<< 32 | UInt64(UInt32(truncatingIfNeeded: key.start))
        count &+= 1
        return true
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: 0, count: old.count &* 2)
        let mask = slots.count &- 1
        for slot in old where slot != 0 {
            var index = Int(slot &>> 32) & mask
            while slots[index] != 0 { index = (index &+ 1) & mask }
            slots[index] = slot
        }
    }

    private mutating func hash(of key: TextSlice, in bytes: RawSpan) -> UInt32 {
        var hasher = Hasher()
        if key.isVerbatim {
            // The hasher reads the bytes only during the call.
            unsafe bytes.extracting(key.start..<key.start &+ key.rawCount).withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        } else {
            unescaped.removeAll(keepingCapacity: true)
            key.append(sanitized: false, to: &unescaped, from: bytes)
            // As above.
            unsafe unescaped.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        }
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    /// Returns the key between `start` and its closing quote. Called only for equal hashes: for a duplicate, which ends the scan, and for a
    /// collision, about once in billions of keys.
    private static func unescaped(from start: Int, in bytes: RawSpan) -> [UInt8] {
        var end = start
        while end < bytes.byteCount, bytes.byte(at: end) != UInt8(ascii: "\"") {
            end &+= bytes.byte(at: end) == UInt8(ascii: "\\") ? 2 : 1
        }
        end = min(end, bytes.byteCount)
        var key: [UInt8] = []
        TextSlice(start: start, rawCount: end &- start, count: 0, isVerbatim: false).append(sanitized: false, to: &key, from: bytes)
        return key
    }
}

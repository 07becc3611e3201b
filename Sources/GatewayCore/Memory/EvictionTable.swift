// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The entries of a bounded table, counted by client, to choose which entry to evict when the table is full.
///
/// The oldest entry of the same client is evicted first, or else the oldest entry of the client with the highest weight. A client with a
/// single entry keeps it, whatever others do.
package struct EvictionTable<ID: Hashable & Sendable>: Sendable {
    private struct Entry: Sendable {
        var client: ClientKey
        var serial: UInt64
        var weight: Int
    }

    private struct Share: Sendable {
        /// Ids in the order of insertion, including removed entries, which are skipped.
        var order: Deque<(id: ID, serial: UInt64)> = []
        var count = 0
        var weight = 0
    }

    private var entries: [ID: Entry] = [:]
    private var shares: [ClientKey: Share] = [:]
    private var lastSerial: UInt64 = 0
    /// The total weight of all entries.
    package private(set) var weight = 0

    package init() {}

    package var count: Int { entries.count }
    package func contains(_ id: ID) -> Bool { entries[id] != nil }
    package func count(of client: ClientKey) -> Int { shares[client]?.count ?? 0 }

    /// Adds the newest entry, in place of an entry with the same id.
    ///
    /// - Parameter weight: the weight of the entry when clients are compared
    package mutating func insert(_ id: ID, of client: ClientKey, weight: Int = 1) {
        remove(id)
        lastSerial &+= 1
        entries[id] = Entry(client: client, serial: lastSerial, weight: weight)
        self.weight += weight
        shares[client, default: Share()].order.append((id, lastSerial))
        shares[client]?.count += 1
        shares[client]?.weight += weight
    }

    @discardableResult
    package mutating func remove(_ id: ID) -> Bool {
        guard let entry = entries.removeValue(forKey: id) else { return false }
        weight -= entry.weight
        guard var share = shares.removeValue(forKey: entry.client) else { return true }
        share.count -= 1
        share.weight -= entry.weight
        guard share.count > 0 else { return true }
        // Most removals are of the oldest entry. Other removed ids are dropped when they are more than half.
        while let first = share.order.first, entries[first.id]?.serial != first.serial { share.order.removeFirst() }
        if share.order.count > 2 * share.count + 16 { share.order.removeAll { entries[$0.id]?.serial != $0.serial } }
        shares[entry.client] = share
        return true
    }

    /// Returns the entry to evict for a new entry of `client`; nil when only clients with a single entry are left.
    ///
    /// - Parameters:
    ///   - spared: an entry that isn't evicted: the new one
    ///   - single: whether the only entry of another client may be evicted, too
    package func victim(for client: ClientKey, sparing spared: ID? = nil, single: Bool = false) -> ID? {
        if let own = oldest(of: client, sparing: spared) { return own }
        let heaviest = shares.lazy.filter { $0.key != client && (single || $0.value.count > 1) }.max { left, right in
            // The age breaks ties, so that the choice doesn't depend on a hash.
            (left.value.weight, right.value.order.first?.serial ?? 0) < (right.value.weight, left.value.order.first?.serial ?? 0)
        }
        return heaviest.flatMap { oldest(of: $0.key, sparing: spared) }
    }

    private func oldest(of client: ClientKey, sparing spared: ID?) -> ID? {
        shares[client]?.order.first { $0.id != spared && entries[$0.id]?.serial == $0.serial }?.id
    }
}

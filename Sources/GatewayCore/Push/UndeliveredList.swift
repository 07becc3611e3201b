// SPDX-License-Identifier: Apache-2.0

/// The pushes that weren't delivered, oldest first, until they are retried or expire after ``retention``.
///
/// The list is bounded: a new entry replaces the oldest one, which is counted as dropped.
package struct UndeliveredList: Sendable {
    package struct Entry: Sendable {
        /// Identifies the entry; equal to the id of the push, except for further entries of the same push.
        package let id: ULID
        package let push: Push
        package let reason: PushFailure
        /// The session that didn't get the push; nil when the user had none.
        package let session: ULID?
        /// The user of the session, or to whom the push was addressed.
        package let user: String?
        /// When the push failed, in Unix milliseconds.
        package let at: Int64
    }

    /// How long an entry is kept, in milliseconds: 24 h.
    package static let retention: Int64 = 86_400_000

    package private(set) var entries: [Entry] = []
    /// `push.undelivered_max`; 0: none are kept.
    package var limit: Int {
        didSet { trim() }
    }
    /// Number of entries that were dropped because the list was full.
    package private(set) var dropped: UInt64 = 0
    private var ids: Set<ULID> = []

    package init(limit: Int) { self.limit = limit }

    /// Adds an entry.
    ///
    /// - Parameter makeID: makes a further id; called if the list already has an entry of the push
    package mutating func add(
        _ failed: FailedPush, session: ULID?, user: String?, wall: Int64, makeID: () -> ULID
    ) {
        removeExpired(wall: wall)
        let id = ids.contains(failed.push.id) ? makeID() : failed.push.id
        guard ids.insert(id).inserted else { return }
        entries.append(Entry(id: id, push: failed.push, reason: failed.reason, session: session, user: user, at: wall))
        trim()
    }

    /// Returns up to `limit` entries after `cursor`, in the order of their ids.
    package mutating func page(after cursor: ULID?, limit: Int, wall: Int64) -> [Entry] {
        removeExpired(wall: wall)
        let later = entries.filter { entry in cursor.map { $0 < entry.id } ?? true }
        return Array(later.sorted { $0.id < $1.id }.prefix(limit))
    }

    /// Removes and returns the entries with one of these ids, and all entries of the pushes with one of them.
    package mutating func take(_ wanted: Set<ULID>, wall: Int64) -> [Entry] {
        removeExpired(wall: wall)
        return remove { wanted.contains($0.id) || wanted.contains($0.push.id) }
    }

    /// Removes the entries of an erased session.
    package mutating func erase(_ session: ULID) { _ = remove { $0.session == session } }

    private mutating func removeExpired(wall: Int64) {
        // The wall clock may have been set back, so the oldest entry isn't always the first to expire.
        guard entries.contains(where: { wall - $0.at >= Self.retention }) else { return }
        _ = remove { wall - $0.at >= Self.retention }
    }

    private mutating func remove(where isRemoved: (Entry) -> Bool) -> [Entry] {
        let found = entries.filter(isRemoved)
        guard !found.isEmpty else { return [] }
        entries.removeAll(where: isRemoved)
        for entry in found { ids.remove(entry.id) }
        return found
    }

    private mutating func trim() {
        guard entries.count > limit else { return }
        let excess = entries.count - limit
        for entry in entries.prefix(excess) { ids.remove(entry.id) }
        entries.removeFirst(excess)
        dropped &+= UInt64(excess)
    }
}

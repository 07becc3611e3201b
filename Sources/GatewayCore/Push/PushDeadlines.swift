// SPDX-License-Identifier: Apache-2.0

import HeapModule

/// The sessions of an event loop with pushes that have a time to live, by the earliest end of one.
///
/// An entry may be outdated: the push was acknowledged, or the session has ended or was transferred. The session knows.
package struct PushDeadlines: Sendable {
    private struct Entry: Comparable, Sendable {
        let deadline: Int64
        let session: ULID

        static func < (left: Self, right: Self) -> Bool { left.deadline < right.deadline }
    }

    private var heap = Heap<Entry>()
    /// The earliest registered deadline of each session, so that a session isn't registered for every push.
    private var registered: [ULID: Int64] = [:]

    package init() {}

    package var count: Int { heap.count }

    /// Registers a session.
    ///
    /// - Parameter deadline: the earliest end of a time to live, in Unix milliseconds
    package mutating func add(_ session: ULID, deadline: Int64) {
        if let known = registered[session], known <= deadline { return }
        registered[session] = deadline
        heap.insert(Entry(deadline: deadline, session: session))
    }

    /// Removes and returns a session whose deadline has passed; nil when there is none.
    package mutating func next(wall: Int64) -> ULID? {
        while let first = heap.min, first.deadline <= wall {
            heap.removeMin()
            // Replaced by an earlier deadline, which was returned before.
            guard registered[first.session] == first.deadline else { continue }
            registered[first.session] = nil
            return first.session
        }
        return nil
    }
}

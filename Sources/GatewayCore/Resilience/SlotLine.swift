import DequeModule

/// So many at a time, and a bounded line of those who wait: the semaphore of a pool, as a value.
package struct SlotLine: Sendable {
    package enum Entry: Sendable, Hashable {
        case granted
        case waiting
        /// The line is full.
        case full
    }

    /// At a time; `Int.max` where there is no limit.
    package let limit: Int
    /// In the line.
    package let longest: Int
    package private(set) var taken = 0
    private var line: Deque<UInt64> = []
    /// In ``line``, but not waiting any more.
    private var gone: Set<UInt64> = []

    package init(limit: Int, longest: Int) {
        self.limit = limit
        self.longest = longest
    }

    package var waiting: Int { line.count - gone.count }
    /// Whether who asks now is granted a slot at once.
    package var hasRoom: Bool { taken < limit && waiting == 0 }

    /// - Parameter ticket: names who asks; never used twice
    package mutating func enter(_ ticket: UInt64) -> Entry {
        if hasRoom {
            taken += 1
            return .granted
        }
        guard waiting < longest else { return .full }
        line.append(ticket)
        return .waiting
    }

    /// Gives a slot back.
    ///
    /// - Returns: who has it now, if somebody waited.
    package mutating func give() -> UInt64? {
        while let next = line.popFirst() {
            if gone.remove(next) == nil { return next }
        }
        taken = max(0, taken - 1)
        return nil
    }

    /// Somebody doesn't wait any longer. False when they have got a slot in the meantime, and have to give it back.
    package mutating func leave(_ ticket: UInt64) -> Bool {
        guard line.contains(ticket), gone.insert(ticket).inserted else { return false }
        // Those at the front needn't be kept in mind.
        while let first = line.first, gone.remove(first) != nil { line.removeFirst() }
        return true
    }
}

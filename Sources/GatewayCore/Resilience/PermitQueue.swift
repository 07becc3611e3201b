import DequeModule

/// A bounded number of permits and a bounded queue for them: the semaphore of a connection pool, as a value.
package struct PermitQueue: Sendable {
    package enum Acquisition: Sendable, Hashable {
        case acquired
        case queued
        /// The queue is full.
        case rejected
    }

    /// Permits; `Int.max` for no limit.
    package let limit: Int
    /// Requests in the queue, at most.
    package let capacity: Int
    package private(set) var held = 0
    private var queue: Deque<UInt64> = []
    /// Tickets in ``queue`` that were cancelled.
    private var cancelled: Set<UInt64> = []

    package init(limit: Int, capacity: Int) {
        self.limit = limit
        self.capacity = capacity
    }

    package var waiting: Int { queue.count - cancelled.count }
    /// Whether a permit can be acquired at once.
    package var isFree: Bool { held < limit && waiting == 0 }

    /// - Parameter ticket: names the request; never used twice
    package mutating func acquire(_ ticket: UInt64) -> Acquisition {
        if isFree {
            held += 1
            return .acquired
        }
        guard waiting < capacity else { return .rejected }
        queue.append(ticket)
        return .queued
    }

    /// Releases a permit.
    ///
    /// - Returns: the ticket of the request that holds it now, if one was queued
    package mutating func release() -> UInt64? {
        while let next = queue.popFirst() {
            if cancelled.remove(next) == nil { return next }
        }
        held = max(0, held - 1)
        return nil
    }

    /// Cancels a queued request.
    ///
    /// - Returns: false when it holds a permit already, which has to be released
    package mutating func cancel(_ ticket: UInt64) -> Bool {
        guard queue.contains(ticket), cancelled.insert(ticket).inserted else { return false }
        // Cancelled tickets at the front are dropped.
        while let first = queue.first, cancelled.remove(first) != nil { queue.removeFirst() }
        return true
    }
}

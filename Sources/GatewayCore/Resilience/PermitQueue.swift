// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// A semaphore with a limited number of permits and a bounded FIFO queue, as a value type.
package struct PermitQueue: Sendable {
    package enum Acquisition: Sendable, Hashable {
        case acquired
        case queued
        /// The queue is full.
        case rejected
    }

    /// The number of permits; `Int.max` for no limit.
    package let limit: Int
    /// The maximum number of queued requests.
    package let capacity: Int
    package private(set) var held = 0
    /// The highest values of ``held`` and ``waiting``.
    package private(set) var peakHeld = 0
    package private(set) var peakWaiting = 0
    private var queue: Deque<UInt64> = []
    /// Tickets in ``queue`` that were cancelled.
    private var cancelled: Set<UInt64> = []

    package init(limit: Int, capacity: Int) {
        self.limit = limit
        self.capacity = capacity
    }

    package var waiting: Int { queue.count - cancelled.count }
    /// Whether a permit can be acquired without queueing.
    package var hasFreePermit: Bool { held < limit && waiting == 0 }

    /// Acquires a permit, or queues the request.
    ///
    /// - Parameter ticket: identifies the request; never reused
    package mutating func acquire(_ ticket: UInt64) -> Acquisition {
        if hasFreePermit {
            held += 1
            peakHeld = max(peakHeld, held)
            return .acquired
        }
        guard waiting < capacity else { return .rejected }
        queue.append(ticket)
        peakWaiting = max(peakWaiting, waiting)
        return .queued
    }

    /// Releases a permit.
    ///
    /// - Returns: the ticket of the queued request that the permit was passed to; nil when none was queued
    package mutating func release() -> UInt64? {
        while let next = queue.popFirst() {
            if cancelled.remove(next) == nil { return next }
        }
        held = max(0, held - 1)
        return nil
    }

    /// Cancels a queued request.
    ///
    /// - Returns: false when the request already holds a permit, which has to be released
    package mutating func cancel(_ ticket: UInt64) -> Bool {
        guard queue.contains(ticket), cancelled.insert(ticket).inserted else { return false }
        // Cancelled tickets at the front are dropped.
        while let first = queue.first, cancelled.remove(first) != nil { queue.removeFirst() }
        return true
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import NIOCore

/// The outcome of a commit.
enum CommitResult {
    /// Everything up to this ticket is durable.
    case committed(UInt64)
    /// The commit failed and will be retried.
    case failed
}

/// A session that waits for a commit.
protocol CommitWaiter: AnyObject {
    func commitEnded(_ result: CommitResult)
}

/// The batches of one event loop that aren't durable yet, and the sessions whose replies wait for them.
///
/// A batch collects the changes of all sessions of the loop between two submissions and is identified by a ticket. Sessions may send their
/// replies once the ticket is committed.
final class CommitQueue {
    private let eventLoop: any EventLoop
    private let store: any SessionStore
    /// The ticket of the batch that is being filled.
    private var ticket: UInt64 = 1
    private var waiting: Deque<(ticket: UInt64, waiter: any CommitWaiter)> = []
    /// Whether a submission is scheduled on the event loop.
    var isScheduled = false

    init(eventLoop: any EventLoop, store: any SessionStore) {
        self.eventLoop = eventLoop
        self.store = store
    }

    /// Adds a waiter for the batch that is being filled.
    ///
    /// - Returns: the batch's ticket.
    func append(_ waiter: any CommitWaiter) -> UInt64 {
        waiting.append((ticket, waiter))
        return ticket
    }

    /// Submits the batch and begins the next one.
    func submit(_ batch: StoreBatch) {
        let ticket = ticket
        self.ticket &+= 1
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        store.submit(
            batch, committed: { bound.eventLoop.execute { bound.value.committed(ticket) } },
            failed: { bound.eventLoop.execute { bound.value.failed(ticket) } })
    }

    /// Informs the waiters at once: the store retries indefinitely, and clients shouldn't wait for that.
    private func failed(_ ticket: UInt64) {
        // Iterates over a copy: a session that rejects messages has further changes and appends itself again.
        for entry in Array(waiting) where entry.ticket <= ticket { entry.waiter.commitEnded(.failed) }
    }

    private func committed(_ ticket: UInt64) {
        while let first = waiting.first, first.ticket <= ticket {
            waiting.removeFirst()
            first.waiter.commitEnded(.committed(first.ticket))
        }
    }
}

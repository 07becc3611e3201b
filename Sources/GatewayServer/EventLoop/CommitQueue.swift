import DequeModule
import GatewayCore
import NIOCore

/// The outcome of a commit.
enum CommitResult {
    /// Everything up to this ticket is durable.
    case committed(UInt64)
    /// The commit has failed, and is tried again.
    case failed
}

/// A session that waits for a commit.
protocol CommitWaiter: AnyObject {
    func commitEnded(_ result: CommitResult)
}

/// The batches of one event loop that aren't durable yet, and the sessions whose responses wait for them.
///
/// A batch collects what all sessions of the loop have to store between two submissions, and has the number of a ticket. Sessions may send
/// their responses once their ticket is committed.
final class CommitQueue {
    private let eventLoop: any EventLoop
    private let store: any SessionStore
    /// The ticket of the batch that is being filled.
    private var ticket: UInt64 = 1
    private var waiting: Deque<(ticket: UInt64, waiter: any CommitWaiter)> = []
    /// A submission is on the loop's list of tasks.
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

    /// Submits the batch, and begins the next one.
    func submit(_ batch: StoreBatch) {
        let ticket = ticket
        self.ticket &+= 1
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        store.submit(
            batch, committed: { bound.eventLoop.execute { bound.value.committed(ticket) } },
            failed: { bound.eventLoop.execute { bound.value.failed(ticket) } })
    }

    /// The store tries again for an unlimited time: until then no client is to wait for a response.
    private func failed(_ ticket: UInt64) {
        // A session that refuses something has more to store, which is appended.
        for entry in Array(waiting) where entry.ticket <= ticket { entry.waiter.commitEnded(.failed) }
    }

    private func committed(_ ticket: UInt64) {
        while let first = waiting.first, first.ticket <= ticket {
            waiting.removeFirst()
            first.waiter.commitEnded(.committed(first.ticket))
        }
    }
}

import DequeModule
import GatewayCore
import NIOCore

/// The batches of one event loop that aren't durable yet, and the sessions whose answers wait for them.
///
/// A batch takes up what all sessions of the loop have to store in one go of the loop, and has the number of a ticket. Sessions may tell what
/// they answered once their ticket is committed.
struct CommitQueue {
    /// Of the batch that is being filled.
    var ticket: UInt64 = 1
    var isScheduled = false
    var waiting: Deque<(ticket: UInt64, driver: SessionDriver)> = []
}

extension LoopContext {
    /// Has the turn's batch submitted when the loop is done with what it does now.
    func scheduleCommit() {
        guard !commits.isScheduled else { return }
        commits.isScheduled = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.submitBatch() }
    }

    /// `driver` has put something into the turn's batch, and is told when that is durable.
    ///
    /// - Returns: the ticket to wait for.
    func awaitCommit(_ driver: SessionDriver) -> UInt64 {
        commits.waiting.append((commits.ticket, driver))
        scheduleCommit()
        return commits.ticket
    }

    func submitBatch() {
        commits.isScheduled = false
        guard let store = shared.store, let batch = turn.batch, !batch.isEmpty else { return }
        turn.batch = StoreBatch()
        let ticket = commits.ticket
        commits.ticket &+= 1
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        store.submit(
            batch, committed: { bound.eventLoop.execute { bound.value.committed(ticket) } },
            failed: { bound.eventLoop.execute { bound.value.notCommitted(ticket) } })
    }

    /// The store tries again, however long that takes: until then nobody is to wait for an answer.
    private func notCommitted(_ ticket: UInt64) {
        // A driver that refuses something has more to store, which is appended.
        for entry in Array(commits.waiting) where entry.ticket <= ticket { entry.driver.notStored() }
    }

    private func committed(_ ticket: UInt64) {
        while let first = commits.waiting.first, first.ticket <= ticket {
            commits.waiting.removeFirst()
            first.driver.stored(first.ticket)
        }
    }
}

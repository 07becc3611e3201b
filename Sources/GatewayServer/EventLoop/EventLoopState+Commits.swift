import GatewayCore
import NIOCore

/// The batch that the sessions of an event loop fill, and its submission.
extension EventLoopState {
    /// Whether sessions are stored.
    var isStoring: Bool { commits != nil }

    /// Has the turn's batch submitted when the loop is done with its current tasks.
    func scheduleCommit() {
        guard let commits, !commits.isScheduled else { return }
        commits.isScheduled = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.submitBatch() }
    }

    /// Has `waiter` told when the turn's batch, which it has added to, is durable.
    ///
    /// - Returns: the ticket to wait for; nil without a store.
    func awaitCommit(_ waiter: any CommitWaiter) -> UInt64? {
        guard let ticket = commits?.append(waiter) else { return nil }
        scheduleCommit()
        return ticket
    }

    func submitBatch() {
        guard let commits else { return }
        commits.isScheduled = false
        guard let batch = turn.batch, !batch.isEmpty else { return }
        turn.batch = StoreBatch()
        commits.submit(batch)
    }
}

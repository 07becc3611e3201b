// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// The store batch of an event loop, and its submission.
extension EventLoopState {
    /// Whether sessions are stored.
    var isStoring: Bool { commits != nil }

    /// Schedules the submission of the batch after the current tasks of the event loop.
    func scheduleCommit() {
        guard let commits, !commits.isScheduled else { return }
        commits.isScheduled = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.submitBatch() }
    }

    /// Registers `waiter`, which added to the batch, for the outcome of its commit.
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
        guard let batch = effects.batch, !batch.isEmpty else { return }
        effects.batch = StoreBatch()
        commits.submit(batch)
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Storage of a session: its changes are added to the batch of the event loop, and replies wait until the changes are durable.
extension SessionDriver: CommitWaiter {
    /// Adds the changes of the session to the current batch.
    func storeChanges() {
        guard loop.isStoring, session.hasUnstoredChanges else { return }
        session.store(effects: &loop.effects)
        guard let ticket = loop.awaitCommit(self) else { return }
        commits.append(ticket, sequence: session.outbox.lastSequence, accepted: session.acceptedCount)
    }

    func commitEnded(_ result: CommitResult) {
        switch result {
        case .committed(let ticket):
            if let accepted = commits.committed(ticket) { session.markCommitted(first: accepted) }
            connection?.socket?.release(upTo: ticket)
        case .failed:
            // A detached session has no client to inform; a client that resumes resends unacknowledged messages.
            connection?.socket?.commitFailed()
        }
    }
}

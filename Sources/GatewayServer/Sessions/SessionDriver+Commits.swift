import GatewayCore

/// The store's side of a session: changes go into the batch of the event loop, and replies wait until they are durable.
extension SessionDriver: CommitWaiter {
    /// Puts the changes of the session into the turn's batch.
    func storeChanges() {
        guard loop.isStoring, session.isUnstored else { return }
        session.store(effects: &loop.turn)
        guard let ticket = loop.awaitCommit(self) else { return }
        commits.append(ticket, sequence: session.outbox.lastSequence, accepted: session.acceptedCount)
    }

    func commitEnded(_ result: CommitResult) {
        switch result {
        case .committed(let ticket):
            if let accepted = commits.committed(ticket) { session.keep(first: accepted) }
            connection?.socket?.release(upTo: ticket)
        case .failed:
            // Without a connection there is no client to tell: one that resumes sends again what wasn't acknowledged.
            connection?.socket?.commitFailed()
        }
    }
}

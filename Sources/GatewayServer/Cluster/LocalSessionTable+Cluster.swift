// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// Sessions that move between the nodes of a cluster.
extension LocalSessionTable {
    // MARK: Arriving

    /// Brings the session of a resume token from another node to this event loop, then resumes it.
    func fetch(
        _ request: ResumeRequest, for client: ClientKey, from cluster: SessionCluster, attemptsLeft: Int,
        completion: @escaping (Resumption) -> Void
    ) {
        guard attemptsLeft > 0 else { return completion(.unavailable) }
        let bound = NIOLoopBound((self, completion), eventLoop: loop.eventLoop)
        cluster.bring(request) { arrival in
            bound.eventLoop.execute {
                let (table, completion) = bound.value
                switch arrival {
                case .session(let stored, let handover, let stream):
                    let isRestored = table.restore(stored, handover: handover, over: stream)
                    cluster.arrived(stored.id)
                    guard isRestored else { return completion(.rejected(.unknown)) }
                    cluster.access.refreshUsage(of: table[stored.id]?.session.user)
                    table.resume(request, for: client, attemptsLeft: attemptsLeft - 1, completion: completion)
                case .here: table.resume(request, for: client, attemptsLeft: attemptsLeft - 1, completion: completion)
                case .rejected(let error): completion(.rejected(error))
                case .unavailable: completion(.unavailable)
                }
            }
        }
    }

    // MARK: Leaving

    /// Detaches a session for another node, and passes what the stored records lack to `reply`. The session is in ``departing`` until
    /// ``finishDeparture(of:_:)``.
    func depart(_ request: HandOverRequest, reply: @escaping @Sendable (Departure) -> Void) {
        afterPendingTransfer(request.session) { home in
            guard let driver = home[request.session] else { return reply(.elsewhere) }
            var resume = ResumeRequest(token: request.token)
            (resume.last, resume.user, resume.isMalformed) = (request.last, request.user, request.isMalformed)
            if let error = home.rejection(of: resume, to: driver) { return reply(.rejected(error)) }
            driver.detachForTakeover()
            driver.finishOnLoop()
            home.loop.withInput { driver.storeChanges() }
            home.loop.submitBatch()
            let record = driver.handoverRecord()
            home.remove(driver)
            home.departing[request.session] = driver
            reply(.ready(record: record, hasRequests: !driver.session.inFlight.isEmpty))
        }
    }

    /// Completes or takes back a departure.
    func finishDeparture(of id: ULID, _ outcome: DepartureOutcome) {
        guard let driver = departing.removeValue(forKey: id) else { return }
        switch outcome {
        case .left(let stream):
            if let stream { driver.leaveLink(over: stream) } else { driver.closeLink() }
            driver.endTaps()
            loop.shared.sessions.forget(id)
        case .failed:
            driver.stay()
            add(driver)
            driver.registerDetached()
        case .fenced: driver.drop(.fenced)
        }
        transferEnded(id)
    }

    // MARK: Losing

    /// Drops a session that this node doesn't own any more. Nothing that its replies waited for is sent.
    func lose(_ id: ULID, _ loss: SessionLoss) {
        guard let driver = self[id] else { return }
        driver.drop(loss)
    }
}

import GatewayCore

/// What operators see of the sessions of one event loop, and do with them.
extension LoopContext {
    /// The first sessions behind `cursor`, in the order of their ids.
    func liveSessions(after cursor: ULID?, limit: Int, attached: Bool?) -> [LiveSession] {
        var ids: [ULID] = []
        for (id, driver) in sessions {
            guard cursor.map({ $0 < id }) ?? true else { continue }
            guard attached.map({ $0 == driver.isAttached }) ?? true else { continue }
            ids.append(id)
        }
        ids.sort()
        return ids.prefix(limit).compactMap { sessions[$0]?.view(.head) }
    }

    /// Ends a session on behalf of an operator. False when it isn't here.
    ///
    /// - Parameter keepsReport: false leaves nothing of it behind
    func close(_ id: ULID, keepsReport: Bool) -> Bool {
        guard let driver = sessions[id] else { return false }
        driver.endByOperator(keepsReport: keepsReport)
        return true
    }
}

extension SessionDriver {
    func view(_ depth: ReportDepth) -> LiveSession {
        let link = connection.map { connection in
            LiveSession.Link(
                id: connection.id, address: connection.address, bytesIn: connection.bytesIn, bytesOut: connection.bytesOut,
                roundTripNanoseconds: session.roundTripNanoseconds)
        }
        return LiveSession(
            report: report(depth), link: link, connectedAt: session.connectedAt,
            expiresAt: session.expiresAt == .max ? nil : session.expiresAt, inFlight: session.inFlight.count, memoryBytes: memoryBytes,
            outboxMessages: session.outbox.count, waitingBytes: session.outbox.waitingBytes, lastSequence: session.outbox.lastSequence)
    }
}

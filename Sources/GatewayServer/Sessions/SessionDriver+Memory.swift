import GatewayCore

/// The memory usage of a session.
extension SessionDriver {
    var memoryUsage: MemoryRelief.Usage {
        MemoryRelief.Usage(
            id: session.id, loop: sessions.number, client: session.client, total: session.ledger.total,
            history: session.history.footprint, isAttached: isAttached)
    }

    /// Cuts the history.
    func relieve() {
        session.relieve()
        account()
    }

    /// Ends the session of the client that holds most, with a fatal error if there is a connection to send it on.
    func endForMemory() {
        guard let socket = connection?.socket else {
            if !isAttached { end(.memoryLimit) }
            return
        }
        loop.withTurn {
            fail(.memoryReclaimed, source: .gateway, close: .memoryLimit)
            socket.flush()
        }
    }
}

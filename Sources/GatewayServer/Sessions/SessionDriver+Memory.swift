// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The memory usage of a session.
extension SessionDriver {
    var memoryUsage: MemoryReclaim.Usage {
        MemoryReclaim.Usage(
            id: session.id, loop: sessions.number, client: session.client, total: session.memoryUsage.total,
            history: session.history.footprint, isAttached: isAttached)
    }

    /// Drops the history to reclaim memory.
    func dropHistory() {
        session.dropHistory()
        account()
    }

    /// Ends the session to reclaim memory, with a fatal error if it is attached.
    func endForMemory() {
        guard let socket = connection?.socket else {
            if !isAttached { end(.memoryLimit) }
            return
        }
        loop.withInput {
            fail(.memoryReclaimed, source: .gateway, close: .memoryLimit)
            socket.flush()
        }
    }
}

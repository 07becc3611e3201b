// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The operators' access to the sessions of one event loop.
extension LocalSessionTable {
    /// Returns up to `limit` sessions with ids after `cursor`, in the order of their ids.
    func liveSessions(after cursor: ULID?, limit: Int, attached: Bool?) -> [LiveSession] {
        var ids: [ULID] = []
        for driver in all {
            let id = driver.session.id
            guard cursor.map({ $0 < id }) ?? true else { continue }
            guard attached.map({ $0 == driver.isAttached }) ?? true else { continue }
            ids.append(id)
        }
        ids.sort()
        return ids.prefix(limit).compactMap { self[$0]?.liveReport(.head) }
    }

    /// Ends a session on behalf of an operator. Returns false when the session isn't on this event loop.
    ///
    /// - Parameter keepsReport: false to delete the session's report, too
    func close(_ id: ULID, keepsReport: Bool) -> Bool {
        guard let driver = self[id] else { return false }
        driver.endByOperator(keepsReport: keepsReport)
        return true
    }
}

import GatewayCore

/// The sessions of one event loop for operators.
extension LocalSessionTable {
    /// The first sessions behind `cursor`, in the order of their ids.
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

    /// Ends a session on behalf of an operator. False when it isn't here.
    ///
    /// - Parameter keepsReport: false deletes its report, too
    func close(_ id: ULID, keepsReport: Bool) -> Bool {
        guard let driver = self[id] else { return false }
        driver.endByOperator(keepsReport: keepsReport)
        return true
    }
}

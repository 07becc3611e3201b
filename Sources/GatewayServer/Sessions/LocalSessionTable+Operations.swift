// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The operators' access to the sessions of one event loop.
extension LocalSessionTable {
    /// Finds the first sessions of a list in slices, and passes them to `completion`.
    func find(_ query: SessionQuery, completion: @escaping ([LiveSession]) -> Void) {
        var found = FirstElements<SessionRank>(limit: query.limit)
        SlicedPass.run(over: Array(all), on: loop.eventLoop) { driver in
            if let rank = driver.rank(in: query) { found.insert(rank) }
        } completion: { [self] in
            report(found.sorted(), completion: completion)
        }
    }

    /// Passes the heads of the sessions' reports to `completion`, without those of sessions that have ended meanwhile.
    private func report(_ ranks: [SessionRank], completion: @escaping ([LiveSession]) -> Void) {
        var sessions: [LiveSession] = []
        SlicedPass.run(over: ranks, on: loop.eventLoop) { [self] rank in
            guard var session = self[rank.id]?.liveReport(.head) else { return }
            // The rank at the time of the sort, so that the order and the cursor agree.
            session.rank = rank
            sessions.append(session)
        } completion: {
            completion(sessions)
        }
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

extension SessionDriver {
    /// The bytes that wait for the client: in the outbox, and in the queue of the socket.
    var queueBytes: Int { session.outbox.waitingBytes + session.memoryUsage.connection.socketQueue }

    /// Returns the session's position in a list; nil if the list doesn't contain the session.
    fileprivate func rank(in query: SessionQuery) -> SessionRank? {
        guard query.attached.map({ $0 == isAttached }) ?? true, query.user == nil || query.user == session.user else { return nil }
        let figure: Int64 =
            switch query.sort {
            case nil: 0
            case .memory: Int64(session.memoryUsage.total)
            case .queue: Int64(queueBytes)
            case .rtt: isAttached ? session.roundTripNanoseconds ?? -1 : -1
            case .errors: Int64(clamping: session.counts.errors)
            // The start time doesn't change while an operator turns the pages, unlike the age.
            case .age: -session.startedAtMilliseconds
            }
        let rank = SessionRank(figure: figure, id: session.id)
        return query.after.map { $0 < rank } ?? true ? rank : nil
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The policy for reclaiming memory when all sessions together approach `sessions.total_memory_budget`.
///
/// Memory is counted by client and reclaimed from the client that uses the most, so that a client can't harm others by filling the budget.
/// At 90 %, histories are dropped, the largest first. At 100 %, detached sessions are ended, too, and above budget plus overhead also
/// attached sessions. A client that uses less than the average loses only histories, and those only at 100 %.
package struct MemoryReclaim: Sendable {
    /// The memory usage of one session.
    package struct Usage: Sendable {
        package var id: ULID
        /// The event loop of the session.
        package var loop: Int
        package var client: ClientKey
        /// Bytes of all parts.
        package var total: Int
        /// Bytes of the history, part of ``total``.
        package var history: Int
        package var isAttached: Bool

        package init(id: ULID, loop: Int, client: ClientKey, total: Int, history: Int, isAttached: Bool) {
            self.id = id
            self.loop = loop
            self.client = client
            self.total = total
            self.history = history
            self.isAttached = isAttached
        }
    }

    package enum Step: Sendable, Hashable {
        case dropHistory(ULID, loop: Int)
        /// Ends a session without a connection.
        case endDetached(ULID, loop: Int)
        case endAttached(ULID, loop: Int)

        package var loop: Int {
            switch self {
            case .dropHistory(_, let loop), .endDetached(_, let loop), .endAttached(_, let loop): loop
            }
        }
    }

    /// `sessions.total_memory_budget`
    package let budget: Int

    package init(budget: Int) { self.budget = budget }

    /// The usage at which histories are dropped and new sessions are rejected.
    package var shortage: Int { budget == .max ? .max : budget - budget / 10 }
    /// How far work in progress may exceed the budget before attached sessions are ended.
    package var overhead: Int { budget == .max ? 0 : max(budget / 10, 16 << 20) }
    private var limit: Int { budget.addingReportingOverflow(overhead).overflow ? .max : budget + overhead }

    package func isShort(_ total: Int) -> Bool { budget != .max && total >= shortage }
    package func isExhausted(_ total: Int) -> Bool { budget != .max && total >= budget }
    /// Whether no more events are requested from upstreams.
    package func isOverLimit(_ total: Int) -> Bool { budget != .max && total >= limit }

    /// Returns the steps to take.
    ///
    /// - Parameter forNewSession: a new session needs memory. Clients with several detached sessions then lose the largest of them at 90 %
    ///   already, if that frees enough.
    package func steps(for sessions: [Usage], forNewSession: Bool = false) -> [Step] {
        var plan = MemoryReclaimPlan(sessions)
        guard isShort(plan.total) else { return [] }
        plan.dropHistories(downTo: shortage)
        if isExhausted(plan.total) {
            // Down to 95 %, so that the next message isn't rejected again.
            plan.endDetached(downTo: budget - budget / 20)
            if isExhausted(plan.total) { plan.dropHistories(downTo: budget, ofAllClients: true) }
            if isOverLimit(plan.total) { plan.endAttached(downTo: budget) }
        }
        if forNewSession, isShort(plan.total) {
            var further = plan
            further.endDetached(downTo: shortage, sparingLast: true)
            // No session ends unless that frees enough.
            if !isShort(further.total) { plan = further }
        }
        return plan.steps
    }
}

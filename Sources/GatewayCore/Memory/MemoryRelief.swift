/// Which memory is freed when all sessions together come near `sessions.total_memory_budget`.
///
/// Memory is counted by client, and the client that holds most gives up first: so a client can't make others lose anything by filling the
/// budget. At 90 % histories are cut, the largest first. At 100 % waiting sessions end as well, and past the overhead sessions with a
/// connection. A client that holds less than the average gives up nothing but histories, and those only at 100 %.
package struct MemoryRelief: Sendable {
    /// The memory of one session.
    package struct Usage: Sendable {
        package var id: ULID
        /// The event loop that has the session.
        package var loop: Int
        package var client: ClientKey
        /// Bytes of the whole ledger.
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
        case cutHistory(ULID, loop: Int)
        /// Ends a session that waits to be resumed.
        case endDetached(ULID, loop: Int)
        case endAttached(ULID, loop: Int)

        package var loop: Int {
            switch self {
            case .cutHistory(_, let loop), .endDetached(_, let loop), .endAttached(_, let loop): loop
            }
        }
    }

    /// `sessions.total_memory_budget`
    package let budget: Int

    package init(budget: Int) { self.budget = budget }

    /// From here on histories are cut and new sessions refused.
    package var shortage: Int { budget == .max ? .max : budget - budget / 10 }
    /// How far sessions with a connection may go over the budget by what they had begun, before they end.
    package var overhead: Int { budget == .max ? 0 : max(budget / 10, 16 << 20) }
    private var limit: Int { budget.addingReportingOverflow(overhead).overflow ? .max : budget + overhead }

    package func isShort(_ total: Int) -> Bool { budget != .max && total >= shortage }
    package func isExhausted(_ total: Int) -> Bool { budget != .max && total >= budget }
    /// Nothing more is asked of upstreams.
    package func isOverLimit(_ total: Int) -> Bool { budget != .max && total >= limit }

    /// The steps to take.
    ///
    /// - Parameter forNewcomer: a new session waits for memory. Then clients with several waiting sessions lose the largest of them at 90 %
    ///   already, if that is enough.
    package func steps(for sessions: [Usage], forNewcomer: Bool = false) -> [Step] {
        var plan = MemoryReliefPlan(sessions)
        guard isShort(plan.total) else { return [] }
        plan.cutHistories(downTo: shortage)
        if isExhausted(plan.total) {
            // Some way down, so that new work isn't refused again with the next message.
            plan.endDetached(downTo: budget - budget / 20)
            if isExhausted(plan.total) { plan.cutHistories(downTo: budget, ofEveryone: true) }
            if isOverLimit(plan.total) { plan.endAttached(downTo: budget) }
        }
        if forNewcomer, isShort(plan.total) {
            var further = plan
            further.endDetached(downTo: shortage, sparingLast: true)
            // Nothing ends in vain.
            if !isShort(further.total) { plan = further }
        }
        return plan.steps
    }
}

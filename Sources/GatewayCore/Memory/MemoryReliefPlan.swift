import HeapModule

/// The steps of a ``MemoryRelief`` in the making, and what would be left after them.
struct MemoryReliefPlan {
    private typealias Usage = MemoryRelief.Usage

    /// The sessions of one client that the plan hasn't used, in each list the smallest first.
    private struct Share {
        var total = 0
        var histories: [Usage] = []
        var detached: [Usage] = []
        var attached: [Usage] = []
    }

    private struct Candidate: Comparable {
        var total: Int
        var index: Int

        static func < (left: Self, right: Self) -> Bool { (left.total, right.index) < (right.total, left.index) }
    }

    private(set) var steps: [MemoryRelief.Step] = []
    private(set) var total = 0
    private var shares: [Share] = []
    private var cut: Set<ULID> = []

    init(_ sessions: [MemoryRelief.Usage]) {
        var indices: [ClientKey: Int] = [:]
        // The same for the same sessions, whatever their order.
        for usage in sessions.sorted(by: { ($0.total, $1.id) < ($1.total, $0.id) }) {
            let index = indices[usage.client] ?? shares.count
            if index == shares.count {
                indices[usage.client] = index
                shares.append(Share())
            }
            total += usage.total
            shares[index].total += usage.total
            if usage.history > 0 { shares[index].histories.append(usage) }
            if usage.isAttached { shares[index].attached.append(usage) } else { shares[index].detached.append(usage) }
        }
        for index in shares.indices { shares[index].histories.sort { ($0.history, $1.id) < ($1.history, $0.id) } }
    }

    mutating func cutHistories(downTo goal: Int, ofEveryone isOfEveryone: Bool = false) {
        free(downTo: goal, ofEveryone: isOfEveryone) { plan, index in
            guard let usage = plan.shares[index].histories.popLast() else { return nil }
            plan.cut.insert(usage.id)
            plan.steps.append(.cutHistory(usage.id, loop: usage.loop))
            return usage.history
        }
    }

    /// - Parameter isSparingLast: clients keep their last waiting session
    mutating func endDetached(downTo goal: Int, sparingLast isSparingLast: Bool = false) {
        free(downTo: goal) { plan, index in
            guard plan.shares[index].detached.count > (isSparingLast ? 1 : 0), let usage = plan.shares[index].detached.popLast() else {
                return nil
            }
            plan.steps.append(.endDetached(usage.id, loop: usage.loop))
            return plan.end(usage, of: index)
        }
    }

    mutating func endAttached(downTo goal: Int) {
        free(downTo: goal) { plan, index in
            guard let usage = plan.shares[index].attached.popLast() else { return nil }
            plan.steps.append(.endAttached(usage.id, loop: usage.loop))
            return plan.end(usage, of: index)
        }
    }

    /// - Returns: the bytes that the session still holds.
    private mutating func end(_ usage: Usage, of index: Int) -> Int {
        guard !cut.contains(usage.id) else { return usage.total - usage.history }
        shares[index].histories.removeAll { $0.id == usage.id }
        return usage.total
    }

    /// Has the client that holds most give up something, again and again, until no more than `goal` is held.
    ///
    /// - Parameters:
    ///   - isOfEveryone: false spares clients that hold less than the average
    ///   - step: returns the bytes that the client at an index gives up; nil when it has nothing more
    private mutating func free(downTo goal: Int, ofEveryone isOfEveryone: Bool = false, _ step: (inout Self, Int) -> Int?) {
        // The average of what is left: one client alone is never below it.
        func least() -> Int { isOfEveryone || shares.isEmpty ? 0 : total / shares.count }
        var candidates = Heap(shares.indices.map { Candidate(total: shares[$0].total, index: $0) })
        while total >= goal, let largest = candidates.popMax(), largest.total >= least() {
            guard let bytes = step(&self, largest.index) else { continue }
            total -= bytes
            shares[largest.index].total -= bytes
            candidates.insert(Candidate(total: shares[largest.index].total, index: largest.index))
        }
    }
}

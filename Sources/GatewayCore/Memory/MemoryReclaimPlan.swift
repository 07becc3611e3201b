// SPDX-License-Identifier: Apache-2.0

import HeapModule

/// The steps of a ``MemoryReclaim`` while they are planned, and the memory usage after them.
struct MemoryReclaimPlan {
    private typealias Usage = MemoryReclaim.Usage

    /// The sessions of one client that have no step yet, the smallest first in each list.
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

    private(set) var steps: [MemoryReclaim.Step] = []
    private(set) var total = 0
    private var shares: [Share] = []
    /// The sessions whose history is dropped.
    private var withoutHistory: Set<ULID> = []

    init(_ sessions: [MemoryReclaim.Usage]) {
        var indices: [ClientKey: Int] = [:]
        // Sorted, so that the plan doesn't depend on the order of the sessions.
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

    mutating func dropHistories(downTo goal: Int, ofAllClients isOfAllClients: Bool = false) {
        free(downTo: goal, ofAllClients: isOfAllClients) { plan, index in
            guard let usage = plan.shares[index].histories.popLast() else { return nil }
            plan.withoutHistory.insert(usage.id)
            plan.steps.append(.dropHistory(usage.id, loop: usage.loop))
            return usage.history
        }
    }

    /// - Parameter isSparingLast: whether clients keep their last detached session
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

    /// - Returns: the bytes that ending the session frees.
    private mutating func end(_ usage: Usage, of index: Int) -> Int {
        guard !withoutHistory.contains(usage.id) else { return usage.total - usage.history }
        shares[index].histories.removeAll { $0.id == usage.id }
        return usage.total
    }

    /// Applies `step` to the client that uses the most, repeatedly, until less than `goal` bytes are used.
    ///
    /// - Parameters:
    ///   - isOfAllClients: false spares clients that use less than the average
    ///   - step: returns the bytes freed from the client at an index; nil when nothing more can be freed
    private mutating func free(downTo goal: Int, ofAllClients isOfAllClients: Bool = false, _ step: (inout Self, Int) -> Int?) {
        // The average of the remaining usage: a single client is never below it.
        func minimumUsage() -> Int { isOfAllClients || shares.isEmpty ? 0 : total / shares.count }
        var candidates = Heap(shares.indices.map { Candidate(total: shares[$0].total, index: $0) })
        while total >= goal, let largest = candidates.popMax(), largest.total >= minimumUsage() {
            guard let bytes = step(&self, largest.index) else { continue }
            total -= bytes
            shares[largest.index].total -= bytes
            candidates.insert(Candidate(total: shares[largest.index].total, index: largest.index))
        }
    }
}

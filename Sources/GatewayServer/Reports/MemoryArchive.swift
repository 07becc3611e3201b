import DequeModule
package import GatewayCore
import Synchronization

/// Reports in memory, for `store.kind: memory`: as many of the newest as fit, until the process ends.
///
/// When they don't fit, the oldest report of the same client goes first, then one of the client that has most.
package final class MemoryArchive: ReportArchive {
    private struct State {
        var entries: [ULID: SessionReport] = [:]
        /// In the order in which they came.
        var order: Deque<ULID> = []
        /// Weighed by their bytes.
        var shares = EvictionTable<ULID>()
        var bytes: Int { shares.weight }
        /// In the order in which they were made, live sessions' among them.
        var annotations: [ULID: SessionAnnotation] = [:]
        var annotated: Deque<ULID> = []

        mutating func remove(_ id: ULID) -> Bool {
            shares.remove(id)
            return entries.removeValue(forKey: id) != nil
        }

        mutating func removeOldest() {
            guard let id = order.popFirst() else { return }
            if remove(id) { annotations[id] = nil }
        }

        /// - Parameter id: the report that room is made for
        mutating func makeRoom(for id: ULID, of client: ClientKey) {
            guard let victim = shares.victim(for: client, sparing: id, single: true), victim != order.first else { return removeOldest() }
            order.removeAll { $0 == victim }
            if remove(victim) { annotations[victim] = nil }
        }
    }

    private let state = Mutex(State())
    private let most: Int
    private let mostBytes: Int

    /// - Parameters:
    ///   - most: reports
    ///   - mostBytes: of what was said in them
    package init(most: Int = 1000, mostBytes: Int = 32 << 20) {
        self.most = most
        self.mostBytes = mostBytes
    }

    package func keep(_ report: SessionReport) {
        let bytes = report.footprint
        guard bytes <= mostBytes else { return }
        state.withLock { state in
            if !state.remove(report.id) { state.order.append(report.id) }
            state.entries[report.id] = report
            state.shares.insert(report.id, of: report.client, weight: bytes)
            while state.entries.count > most || state.bytes > mostBytes { state.makeRoom(for: report.id, of: report.client) }
        }
    }

    package func report(of id: ULID) -> SessionReport? { state.withLock { $0.entries[id] } }

    package func hasReport(of id: ULID) -> Bool { state.withLock { $0.entries[id] != nil } }

    package func reports(after cursor: ULID?, limit: Int) -> [SessionReport] {
        state.withLock { state in
            let ids = state.entries.keys.filter { id in cursor.map { $0 < id } ?? true }.sorted().prefix(limit)
            return ids.compactMap { state.entries[$0]?.head }
        }
    }

    package func annotations(of ids: [ULID]) -> [ULID: SessionAnnotation] {
        state.withLock { state in
            var found: [ULID: SessionAnnotation] = [:]
            for id in ids { found[id] = state.annotations[id] }
            return found
        }
    }

    /// Live sessions aren't known here: whoever asks has seen that there is one.
    package func annotate(_ id: ULID, _ patch: SessionAnnotationPatch) -> Bool {
        state.withLock { state in
            let annotation = patch.applied(to: state.annotations[id] ?? SessionAnnotation())
            state.annotated.removeAll { $0 == id }
            guard !annotation.isEmpty else {
                state.annotations[id] = nil
                return true
            }
            state.annotations[id] = annotation
            state.annotated.append(id)
            while state.annotated.count > most, let oldest = state.annotated.popFirst() { state.annotations[oldest] = nil }
            return true
        }
    }

    package func erase(_ id: ULID) -> Bool {
        state.withLock { state in
            let hadNotes = state.annotations.removeValue(forKey: id) != nil
            state.annotated.removeAll { $0 == id }
            state.order.removeAll { $0 == id }
            return state.remove(id) || hadNotes
        }
    }

    package func sweep(endedBefore limit: Int64) {
        state.withLock { state in
            while let oldest = state.order.first {
                guard let report = state.entries[oldest], report.endedAt ?? 0 >= limit else {
                    state.removeOldest()
                    continue
                }
                break
            }
        }
    }
}

extension SessionReport {
    /// It without what a list doesn't show.
    var head: SessionReport {
        var head = self
        (head.lines, head.events) = ([], [])
        return head
    }

    /// Memory that it takes, about.
    var footprint: Int {
        lines.reduce(512 + events.count * 48) { $0 + MemoryLayout<Line>.stride + ($1.text?.count ?? 0) + 32 }
    }
}

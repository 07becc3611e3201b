// SPDX-License-Identifier: Apache-2.0

import DequeModule
package import GatewayCore
import Synchronization

/// An archive in memory, for `store.kind: memory`: the newest reports that fit, until the process ends.
///
/// If a report doesn't fit, the oldest report of the same client is removed, else one of the client with the largest share.
package final class MemoryArchive: ReportArchive {
    private struct State {
        var entries: [ULID: SessionReport] = [:]
        /// In order of arrival.
        var order: Deque<ULID> = []
        /// The bytes of the reports by client.
        var shares = EvictionTable<ULID>()
        var bytes: Int { shares.weight }
        /// Annotations of ended and live sessions.
        var annotations: [ULID: SessionAnnotation] = [:]
        /// The keys of ``annotations`` in the order of the last change.
        var annotated: Deque<ULID> = []

        mutating func remove(_ id: ULID) -> Bool {
            shares.remove(id)
            return entries.removeValue(forKey: id) != nil
        }

        mutating func removeOldest() {
            guard let id = order.popFirst() else { return }
            if remove(id) { annotations[id] = nil }
        }

        /// - Parameter id: the report that needs room and isn't removed itself
        mutating func makeRoom(for id: ULID, of client: ClientKey) {
            guard let victim = shares.victim(for: client, sparing: id, single: true), victim != order.first else { return removeOldest() }
            order.removeAll { $0 == victim }
            if remove(victim) { annotations[victim] = nil }
        }
    }

    private let state = Mutex(State())
    private let maximumCount: Int
    private let maximumBytes: Int

    /// - Parameters:
    ///   - maximumCount: maximum number of reports
    ///   - maximumBytes: maximum bytes of the reports
    package init(maximumCount: Int = 1000, maximumBytes: Int = 32 << 20) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    package func keep(_ report: SessionReport) {
        let bytes = report.footprint
        guard bytes <= maximumBytes else { return }
        state.withLock { state in
            if !state.remove(report.id) { state.order.append(report.id) }
            state.entries[report.id] = report
            state.shares.insert(report.id, of: report.client, weight: bytes)
            while state.entries.count > maximumCount || state.bytes > maximumBytes { state.makeRoom(for: report.id, of: report.client) }
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

    /// Always succeeds: the caller has checked that the session exists.
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
            while state.annotated.count > maximumCount, let oldest = state.annotated.popFirst() { state.annotations[oldest] = nil }
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
    /// The report without lines, events and turns, for lists.
    var head: SessionReport {
        var head = self
        (head.lines, head.events, head.turns) = ([], [], [])
        return head
    }

    /// The approximate memory of the report, in bytes.
    var footprint: Int {
        lines.reduce(512 + events.count * 48 + turns.count * 160) { $0 + MemoryLayout<Line>.stride + ($1.text?.count ?? 0) + 32 }
    }
}

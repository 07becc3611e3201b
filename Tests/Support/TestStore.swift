// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayServer
import Synchronization

/// An in-memory store that commits on request and outlives the gateways of a test.
package final class TestStore: SessionStore {
    private struct State {
        var sessions: [ULID: [RecordKind: [UInt64: [UInt8]]]] = [:]
        var endedTokens: [TokenHash] = []
        var usage: [UsageRow: UsageAmounts] = [:]
        var pending: [(batch: StoreBatch, committed: @Sendable () -> Void, failed: (@Sendable () -> Void)?)] = []
        var acceptsWork = true
        var holdsBatches = false
    }

    private let state = Mutex(State())

    package init() {}

    package var acceptsWork: Bool {
        get { state.withLock { $0.acceptsWork } }
        set { state.withLock { $0.acceptsWork = newValue } }
    }

    /// Whether batches stay pending until ``commit()``.
    package var holdsBatches: Bool {
        get { state.withLock { $0.holdsBatches } }
        set { state.withLock { $0.holdsBatches = newValue } }
    }

    /// The number of pending batches.
    package var pending: Int { state.withLock { $0.pending.count } }

    package func submit(
        _ batch: StoreBatch, committed: @escaping @Sendable () -> Void, failed: @escaping @Sendable () -> Void
    ) {
        let holdsBatches = state.withLock { state in
            state.pending.append((batch, committed, failed))
            return state.holdsBatches
        }
        if !holdsBatches { commit() }
    }

    /// Commits all pending batches.
    package func commit() {
        let pending = state.withLock { state in
            defer { state.pending = [] }
            for entry in state.pending {
                Self.apply(entry.batch, to: &state.sessions)
                state.endedTokens += entry.batch.endedTokens
                for (row, amounts) in entry.batch.usage { state.usage[row, default: .zero] += amounts }
            }
            return state.pending
        }
        for entry in pending { entry.committed() }
    }

    /// Fails the commit of all pending batches. They stay pending, and no work is accepted until ``acceptsWork`` is set.
    package func fail() {
        let failed = state.withLock { state in
            state.acceptsWork = false
            return state.pending.indices.compactMap { state.pending[$0].failed.take() }
        }
        for failed in failed { failed() }
    }

    /// Simulates a crash of the process: drops all pending batches without calling their completions.
    package func crash() { state.withLock { $0.pending = [] } }

    package func loadEndedTokens() -> [TokenHash] { state.withLock { $0.endedTokens } }

    /// The committed usage.
    package var usage: [UsageRow: UsageAmounts] { state.withLock { $0.usage } }

    package func loadAccounts(wall: Int64) -> AccountRecords {
        var records = AccountRecords()
        for (row, amounts) in usage {
            records.usage[row.user, default: PeriodUsage(today: UTCDay(unixMilliseconds: wall))].add(amounts, on: row.day)
        }
        return records
    }

    package func load() -> [StoredSession] {
        state.withLock { state in
            state.sessions.map { id, kinds in
                var session = StoredSession(id: id)
                for (kind, records) in kinds {
                    session.records[kind] = records.sorted { $0.key < $1.key }.map { .init(number: $0.key, bytes: $0.value) }
                }
                return session
            }
        }
    }

    package func sweep() {}
    package func purge() async {}
    package func close() async {}

    package static func apply(_ batch: StoreBatch, to sessions: inout [ULID: [RecordKind: [UInt64: [UInt8]]]]) {
        for change in batch.changes {
            switch change {
            case .put(let id, let kind, let number, let range):
                sessions[id, default: [:]][kind, default: [:]][number] = Array(batch.bytes[range])
            case .remove(let id, let kind, let numbers):
                for number in sessions[id]?[kind]?.keys.filter({ numbers.contains($0) }) ?? [] { sessions[id]?[kind]?[number] = nil }
            case .end(let id): sessions[id] = nil
            case .tokens, .user: break
            }
        }
    }
}

package import GatewayCore
import GatewayServer
import Synchronization

/// An in-memory store that commits on request and outlives the gateways of a test.
package final class TestStore: SessionStore {
    private struct State {
        var sessions: [ULID: [RecordKind: [UInt64: [UInt8]]]] = [:]
        var endedTokens: [TokenHash] = []
        var waiting: [(batch: StoreBatch, committed: @Sendable () -> Void, failed: (@Sendable () -> Void)?)] = []
        var takesWork = true
        var isHolding = false
    }

    private let state = Mutex(State())

    package init() {}

    package var takesWork: Bool {
        get { state.withLock { $0.takesWork } }
        set { state.withLock { $0.takesWork = newValue } }
    }

    /// Whether batches stay pending until ``commit()``.
    package var isHolding: Bool {
        get { state.withLock { $0.isHolding } }
        set { state.withLock { $0.isHolding = newValue } }
    }

    /// The number of pending batches.
    package var waiting: Int { state.withLock { $0.waiting.count } }

    package func submit(
        _ batch: StoreBatch, committed: @escaping @Sendable () -> Void, failed: @escaping @Sendable () -> Void
    ) {
        let isHolding = state.withLock { state in
            state.waiting.append((batch, committed, failed))
            return state.isHolding
        }
        if !isHolding { commit() }
    }

    /// Commits all pending batches.
    package func commit() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            for entry in state.waiting {
                Self.apply(entry.batch, to: &state.sessions)
                state.endedTokens += entry.batch.endedTokens
            }
            return state.waiting
        }
        for entry in waiting { entry.committed() }
    }

    /// Fails the commit of all pending batches. They stay pending, and no work is accepted until ``takesWork`` is set.
    package func fail() {
        let failed = state.withLock { state in
            state.takesWork = false
            return state.waiting.indices.compactMap { state.waiting[$0].failed.take() }
        }
        for failed in failed { failed() }
    }

    /// Simulates a crash of the process: drops all pending batches without calling their completions.
    package func crash() { state.withLock { $0.waiting = [] } }

    package func loadEndedTokens() -> [TokenHash] { state.withLock { $0.endedTokens } }

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
    package func forget() async {}
    package func close() async {}

    package static func apply(_ batch: StoreBatch, to sessions: inout [ULID: [RecordKind: [UInt64: [UInt8]]]]) {
        for change in batch.changes {
            switch change {
            case .put(let id, let kind, let number, let range):
                sessions[id, default: [:]][kind, default: [:]][number] = Array(batch.bytes[range])
            case .remove(let id, let kind, let numbers):
                for number in sessions[id]?[kind]?.keys.filter({ numbers.contains($0) }) ?? [] { sessions[id]?[kind]?[number] = nil }
            case .end(let id): sessions[id] = nil
            }
        }
    }
}

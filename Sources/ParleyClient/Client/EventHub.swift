// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Passes events to any number of readers. Each has a bounded buffer, of which the oldest events are dropped.
final class EventHub: Sendable {
    private struct State {
        var continuations: [UInt64: AsyncStream<ParleyClient.Event>.Continuation] = [:]
        var next: UInt64 = 0
        var dropped = 0
        var hasEnded = false
    }

    private let state = Mutex(State())
    private let capacity: Int

    init(capacity: Int) { self.capacity = max(1, capacity) }

    var dropped: Int { state.withLock { $0.dropped } }

    func subscribe() -> AsyncStream<ParleyClient.Event> {
        let (stream, continuation) = AsyncStream.makeStream(of: ParleyClient.Event.self, bufferingPolicy: .bufferingNewest(capacity))
        let id: UInt64? = state.withLock { state in
            guard !state.hasEnded else { return nil }
            state.next &+= 1
            state.continuations[state.next] = continuation
            return state.next
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in _ = self?.state.withLock { $0.continuations.removeValue(forKey: id) } }
        return stream
    }

    func yield(_ event: ParleyClient.Event) {
        state.withLock { state in
            for continuation in state.continuations.values {
                if case .dropped = continuation.yield(event) { state.dropped += 1 }
            }
        }
    }

    func end() {
        let continuations = state.withLock { state in
            state.hasEnded = true
            defer { state.continuations = [:] }
            return Array(state.continuations.values)
        }
        // Outside the lock, because it calls the termination handlers.
        for continuation in continuations { continuation.finish() }
    }
}

// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Synchronization

/// A value that callbacks and threads change and tests await.
package final class AwaitableValue<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var version: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Bool, Never>] = [:]
        var lastWaiter: UInt64 = 0
    }

    private let state: Mutex<State>

    package init(_ value: Value) { state = Mutex(State(value: value)) }

    package var value: Value { state.withLock { $0.value } }

    /// Changes the value and wakes all waiters.
    package func change(_ body: (inout Value) -> Void) {
        let waiters = state.withLock { state in
            body(&state.value)
            state.version += 1
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: true) }
    }

    /// Calls `find` now and after each change, until it returns a result.
    ///
    /// - Parameter find: searches the value, and may change it; called under the lock.
    /// - Returns: the result of `find`; nil when `limit` has passed.
    package func wait<Found: Sendable>(timeout limit: Duration, _ find: (inout Value) throws -> Found?) async rethrows -> Found? {
        let deadline = NIODeadline.now() + TimeAmount(limit)
        while true {
            let (found, version) = try state.withLock { state in (try find(&state.value), state.version) }
            if let found { return found }
            guard await hasChanged(since: version, before: deadline) else { return nil }
        }
    }

    private func hasChanged(since version: UInt64, before deadline: NIODeadline) async -> Bool {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        let timer = MultiThreadedEventLoopGroup.singleton.next().scheduleTask(deadline: deadline) { [self] in
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: false)
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            let outcome: Bool? = state.withLock { state in
                if state.version != version { return true }
                if NIODeadline.now() >= deadline { return false }
                state.waiters[id] = continuation
                return nil
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
    }
}

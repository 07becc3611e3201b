// SPDX-License-Identifier: Apache-2.0

import Synchronization
package import Testing

/// Limits how many test cases run concurrently, so that deadlines of one second hold on a small machine.
package struct BoundedTrait: SuiteTrait, TestTrait, TestScoping {
    package let isRecursive = true

    package func provideScope(for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void)
        async throws
    {
        // A suite itself holds no permit while its tests run.
        guard testCase != nil else { return try await function() }
        await Self.permits.acquire()
        defer { Self.permits.release() }
        try await function()
    }

    private static let permits = Permits(4)

    /// A semaphore: at most `count` permits are held at a time, and waiters acquire them in order.
    private final class Permits: Sendable {
        private struct State {
            var free: Int
            var waiters: [CheckedContinuation<Void, Never>] = []
        }

        private let state: Mutex<State>

        init(_ count: Int) { state = Mutex(State(free: count)) }

        func acquire() async {
            await withCheckedContinuation { continuation in
                let isAcquired = state.withLock { state in
                    if state.free > 0 {
                        state.free -= 1
                        return true
                    }
                    state.waiters.append(continuation)
                    return false
                }
                if isAcquired { continuation.resume() }
            }
        }

        func release() {
            let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
                guard !state.waiters.isEmpty else {
                    state.free += 1
                    return nil
                }
                return state.waiters.removeFirst()
            }
            next?.resume()
        }
    }
}

extension Trait where Self == BoundedTrait {
    /// Runs at most four test cases at a time.
    package static var bounded: Self { BoundedTrait() }
}

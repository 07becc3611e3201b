import Synchronization
package import Testing

/// Lets only a few tests run beside each other, so that a small machine stays quick enough for deadlines of a second.
package struct BoundedTrait: SuiteTrait, TestTrait, TestScoping {
    package let isRecursive = true

    package func provideScope(for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void)
        async throws
    {
        // A suite holds no place while its tests run.
        guard testCase != nil else { return try await function() }
        await Self.places.enter()
        defer { Self.places.leave() }
        try await function()
    }

    private static let places = Places(4)

    /// Counts who is inside; others wait in line.
    private final class Places: Sendable {
        private struct State {
            var free: Int
            var line: [CheckedContinuation<Void, Never>] = []
        }

        private let state: Mutex<State>

        init(_ count: Int) { state = Mutex(State(free: count)) }

        func enter() async {
            await withCheckedContinuation { continuation in
                let isIn = state.withLock { state in
                    if state.free > 0 {
                        state.free -= 1
                        return true
                    }
                    state.line.append(continuation)
                    return false
                }
                if isIn { continuation.resume() }
            }
        }

        func leave() {
            let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
                guard !state.line.isEmpty else {
                    state.free += 1
                    return nil
                }
                return state.line.removeFirst()
            }
            next?.resume()
        }
    }
}

extension Trait where Self == BoundedTrait {
    /// A few at a time.
    package static var bounded: Self { BoundedTrait() }
}

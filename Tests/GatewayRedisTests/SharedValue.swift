// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A value that several tests share, made when the first of them needs it.
final class SharedValue<Value: Sendable>: Sendable {
    private let make: @Sendable () async throws -> Value
    private let task = Mutex<Task<Value, any Error>?>(nil)

    init(_ make: @escaping @Sendable () async throws -> Value) { self.make = make }

    var value: Value {
        get async throws {
            let running = task.withLock { task in
                let running = task ?? Task { [make] in try await make() }
                task = running
                return running
            }
            return try await running.value
        }
    }
}

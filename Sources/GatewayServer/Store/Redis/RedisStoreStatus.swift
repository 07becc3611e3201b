// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import Synchronization

/// The state of the Redis store that is read from any thread, its health and its log.
final class RedisStoreStatus: Sendable {
    /// The URLs without secrets, for errors and log lines.
    let name: String
    let health: HealthRegistry
    let logger: Logger
    let isFailing = Atomic<Bool>(false)
    /// Bytes of batches and reports that aren't committed yet.
    let waitingBytes = Atomic<Int>(0)
    let measured = Mutex(StoreMetrics())
    /// Reports that aren't committed yet.
    let reports = Mutex<[ULID: SessionReport]>([:])
    let lines: StoreLog
    private let problem = Mutex<RedisProblem?>(nil)

    init(name: String, health: HealthRegistry, logger: Logger) {
        self.name = name
        self.health = health
        self.logger = logger
        lines = StoreLog(logger)
    }

    /// The current problem; nil while commits succeed.
    var currentProblem: RedisProblem? { problem.withLock { $0 } }

    /// Records that commits fail.
    func beginOutage(_ problem: RedisProblem) {
        isFailing.store(true, ordering: .relaxed)
        let before = self.problem.withLock { before in
            defer { before = problem }
            return before
        }
        let error = StoreError(path: name, problem: problem.text, isTemporary: problem.isTemporary)
        if before?.cause != problem.cause {
            lines.log(
                .error, as: .storeFailing, "commits to the store fail; retrying",
                ["error": "\(error)", "cause": "\(problem.cause.rawValue)"])
        }
        health.set(.store, .notReady(error.description))
    }

    /// Records that commits succeed.
    func endOutage() {
        problem.withLock { $0 = nil }
        health.set(.store, .ready)
        guard isFailing.exchange(false, ordering: .relaxed) else { return }
        lines.log(.notice, as: .storeRecovered, "commits to the store succeed again")
    }

    /// Copies the metrics.
    var metrics: StoreMetrics {
        measured.withLock { measured in
            // Added rather than copied, so that the histogram stays the only reference to its memory.
            var copy = StoreMetrics()
            copy.commitTime.add(measured.commitTime)
            copy.errors = measured.errors
            copy.bytes = measured.bytes
            return copy
        }
    }
}

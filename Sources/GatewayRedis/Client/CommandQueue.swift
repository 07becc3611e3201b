// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The count of all commands without a reply, and the commands that other threads sent and the event loop hasn't taken.
final class CommandQueue: Sendable {
    /// One command, or several with one completion.
    enum Submission: Sendable {
        case command(RedisCommand, RedisClient.Completion)
        case batch([RedisCommand], replicas: RedisReplicaWait?, @Sendable (RedisBatchResult) -> Void)
    }

    private struct State {
        var submissions: [Submission] = []
        var commands = 0
        var bytes = 0
    }

    private let maxCommands: Int
    private let maxBytes: Int
    private let state = Mutex(State())

    init(maxCommands: Int, maxBytes: Int) {
        self.maxCommands = maxCommands
        self.maxBytes = maxBytes
    }

    /// The commands without a reply, and their bytes.
    var usage: (commands: Int, bytes: Int) { state.withLock { ($0.commands, $0.bytes) } }

    /// Counts commands until ``release(_:bytes:)``.
    ///
    /// - Returns: the reason why the queue is full; nil if the commands are counted
    func reserve(_ commands: Int, bytes: Int) -> String? {
        state.withLock { state in
            guard commands <= maxCommands - state.commands else { return "the command queue is full (\(maxCommands) commands)" }
            guard bytes <= maxBytes - state.bytes else { return "the command queue is full (\(maxBytes) bytes)" }
            state.commands += commands
            state.bytes += bytes
            return nil
        }
    }

    func release(_ commands: Int, bytes: Int) {
        state.withLock { state in
            state.commands -= commands
            state.bytes -= bytes
        }
    }

    /// Adds a submission of another thread.
    ///
    /// - Returns: true if the event loop must call ``takeAll()``, because no earlier call is pending
    func add(_ submission: Submission) -> Bool {
        state.withLock { state in
            state.submissions.append(submission)
            return state.submissions.count == 1
        }
    }

    func takeAll() -> [Submission] {
        state.withLock { state in
            guard !state.submissions.isEmpty else { return [] }
            defer { state.submissions = [] }
            return state.submissions
        }
    }
}

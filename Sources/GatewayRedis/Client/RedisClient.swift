// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore
import Synchronization

/// A client of Redis 7 or Valkey: a single server, the master that Sentinels name, or a cluster.
///
/// All commands share one connection for each master, and are pipelined. Commands that are sent from one pass of the event loop leave in one
/// write. Commands with the same key are executed in the order in which they were sent from one thread, also when the server redirects some
/// of them or doesn't have a script. A lost connection fails all its commands; none is sent twice unless the server has rejected it.
///
/// Completions are called on the event loop, those of a lost connection before commands are sent on the next one. A command that can't be
/// sent completes before ``send(_:completion:)`` returns if that is called on the event loop.
///
/// The order of a key has one gap: if the server loses a script, and another client loads the script while commands of the key are in
/// flight, a later one of them can be executed before an earlier one. Only `SCRIPT FLUSH` makes a server lose a script of
/// ``RedisSettings/scripts``.
package final class RedisClient: Sendable {
    package typealias Completion = @Sendable (Result<RedisReply, RedisFailure>) -> Void
    /// Checks the server of a new connection before it is used; must call its completion, with a failure to reject the server.
    package typealias ConnectHook = @Sendable (RedisNewConnection, @escaping @Sendable (RedisFailure?) -> Void) -> Void

    package let settings: RedisSettings
    package let eventLoop: any EventLoop
    private let queue: CommandQueue
    private let current: CurrentState
    private let core: NIOLoopBoundBox<ClientCore>

    /// - Parameters:
    ///   - onConnect: called after each connect to a master
    ///   - onStateChange: called on the event loop after each change of the state
    package init(
        settings: RedisSettings, eventLoop: any EventLoop, logger: Logger, onConnect: ConnectHook? = nil,
        onStateChange: @escaping @Sendable (RedisClientState) -> Void = { _ in }
    ) {
        self.settings = settings
        self.eventLoop = eventLoop
        queue = CommandQueue(maxCommands: settings.maxQueuedCommands, maxBytes: settings.maxQueuedBytes)
        let current = CurrentState()
        self.current = current
        core = NIOLoopBoundBox.makeBoxSendingValue(
            ClientCore(
                settings: settings, eventLoop: eventLoop, logger: logger, onConnect: onConnect, publish: { current.value = $0 },
                onStateChange: onStateChange), eventLoop: eventLoop)
    }

    /// The state as of now; may be read from any thread.
    package var state: RedisClientState { current.value }

    /// The commands without a reply, and their bytes.
    package var queueUsage: (commands: Int, bytes: Int) { queue.usage }

    /// Starts to connect. Commands that were sent before are queued.
    package func start() {
        if eventLoop.inEventLoop { core.value.start() } else { eventLoop.execute { [core] in core.value.start() } }
    }

    /// Closes the connections. Commands without a reply fail.
    package func close() async {
        let (core, queue) = (core, queue)
        _ = try? await eventLoop.submit {
            Self.drain(core, queue)
            core.value.close()
        }.get()
    }

    // MARK: Commands

    /// Sends a command. May be called from any thread.
    ///
    /// - Parameter completion: called once on the event loop; the reply isn't an error
    package func send(_ command: RedisCommand, completion: @escaping Completion) {
        if let reason = queue.reserve(1, bytes: command.byteCount) {
            return eventLoop.execute { completion(.failure(.unavailable(reason))) }
        }
        submit(.command(command, completion))
    }

    /// Sends a command and waits for its reply, which isn't an error.
    package func send(_ command: RedisCommand) async throws(RedisFailure) -> RedisReply {
        let result = await withCheckedContinuation { continuation in send(command) { continuation.resume(returning: $0) } }
        return try result.get()
    }

    /// Evaluates a script that reads and writes one key.
    package func evaluate(_ script: RedisScript, key: [UInt8], arguments: [[UInt8]], completion: @escaping Completion) {
        var command = RedisCommand(evaluating: script, key: key)
        for argument in arguments { command.append(argument) }
        send(command, completion: completion)
    }

    /// Evaluates a script that reads and writes one key, and waits for its reply.
    package func evaluate(_ script: RedisScript, key: [UInt8], arguments: [[UInt8]]) async throws(RedisFailure) -> RedisReply {
        let result = await withCheckedContinuation { continuation in
            evaluate(script, key: key, arguments: arguments) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Sends commands in one write for each server. All of them are queued, or none.
    ///
    /// - Parameters:
    ///   - wait: if set, the batch completes when replicas have received its writes, or at the limit, whichever is first
    ///   - completion: called once on the event loop when all commands have completed
    package func sendBatch(
        _ commands: [RedisCommand], wait: RedisReplicaWait? = nil, completion: @escaping @Sendable (RedisBatchResult) -> Void
    ) {
        if let reason = queue.reserve(commands.count, bytes: commands.reduce(0) { $0 + $1.byteCount }) {
            let failure = RedisFailure.unavailable(reason)
            let result = RedisBatchResult(
                results: commands.map { _ in .failure(failure) }, replicas: wait == nil ? nil : .failure(failure))
            return eventLoop.execute { completion(result) }
        }
        submit(.batch(commands, replicas: wait, completion))
    }

    /// Sends commands in one write for each server, and waits for the results.
    package func sendBatch(_ commands: [RedisCommand], wait: RedisReplicaWait? = nil) async -> RedisBatchResult {
        await withCheckedContinuation { continuation in sendBatch(commands, wait: wait) { continuation.resume(returning: $0) } }
    }

    /// Waits until replicas have received all earlier commands with the slot of `key`.
    ///
    /// The number covers the earlier commands only if no connection was lost meanwhile; ``sendBatch(_:wait:completion:)`` guarantees this.
    ///
    /// - Parameter completion: called with the number of replicas, which is smaller than `replicas` after `timeout`
    package func wait(
        replicas: Int, timeout: Duration, key: [UInt8]?, completion: @escaping @Sendable (Result<Int, RedisFailure>) -> Void
    ) {
        send(.wait(replicas: replicas, timeout: timeout, key: key)) { result in completion(result.map { Int($0.number ?? 0) }) }
    }

    private func submit(_ submission: CommandQueue.Submission) {
        let (core, queue) = (core, queue)
        guard eventLoop.inEventLoop else {
            if queue.add(submission) { eventLoop.execute { Self.drain(core, queue) } }
            return
        }
        // The commands of other threads are older.
        Self.drain(core, queue)
        core.value.perform(submission, queue)
    }

    private static func drain(_ core: NIOLoopBoundBox<ClientCore>, _ queue: CommandQueue) {
        for submission in queue.takeAll() { core.value.perform(submission, queue) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension ClientCore {
    func perform(_ submission: CommandQueue.Submission, _ queue: CommandQueue) {
        switch submission {
        case .command(let command, let completion):
            let bytes = command.byteCount
            send(
                PendingCommand(command) { result in
                    queue.release(1, bytes: bytes)
                    completion(result)
                })
        case .batch(let commands, let wait, let completion):
            let bytes = commands.reduce(0) { $0 + $1.byteCount }
            Batch(commands, wait) { result in
                queue.release(commands.count, bytes: bytes)
                completion(result)
            }.send(self)
        }
    }

    /// The commands of a batch, and the wait for the replicas of their servers.
    private final class Batch {
        private let commands: [RedisCommand]
        private let wait: RedisReplicaWait?
        private let completion: (RedisBatchResult) -> Void
        private var results: [Result<RedisReply, RedisFailure>]
        private var pending: [PendingCommand] = []
        /// Commands and waits without a result, and one until all are sent.
        private var missing = 1
        /// Whether replicas are waited for.
        private var isWaiting = false
        private var replicas: Result<Int, RedisFailure>?
        private var isOnDisk = true

        init(_ commands: [RedisCommand], _ wait: RedisReplicaWait?, completion: @escaping (RedisBatchResult) -> Void) {
            self.commands = commands
            self.wait = wait
            self.completion = completion
            results = Array(repeating: .failure(.unavailable("not sent")), count: commands.count)
        }

        func send(_ core: ClientCore) {
            var connections: [RedisConnection] = []
            var areAllSent = true
            for (index, command) in commands.enumerated() {
                missing += 1
                let entry = PendingCommand(command) { [self] result in
                    results[index] = result
                    finishOne()
                }
                pending.append(entry)
                if let connection = core.send(entry) {
                    if !connections.contains(where: { $0 === connection }) { connections.append(connection) }
                } else {
                    areAllSent = false
                }
            }
            // The servers wait right after the commands, without another round trip.
            if wait != nil, areAllSent { awaitReplicas(of: connections) }
            finishOne()
        }

        private func awaitReplicas(of connections: [RedisConnection]) {
            guard let wait else { return }
            isWaiting = true
            for connection in connections {
                missing += 1
                let command: RedisCommand =
                    wait.includesDisk
                    ? .waitForDisk(replicas: wait.replicas, timeout: wait.timeout)
                    : .wait(replicas: wait.replicas, timeout: wait.timeout, key: nil)
                connection.send(command) { [self] result in
                    add(result)
                    finishOne()
                }
            }
        }

        /// Adds the reply to `WAIT`, or to `WAITAOF`: whether the server's file has the writes, and how many replicas.
        private func add(_ reply: Result<RedisReply, RedisFailure>) {
            let elements = (try? reply.get())?.elements
            if elements?.first?.number != 1 { isOnDisk = false }
            let result = reply.map { Int(($0.elements?.last ?? $0).number ?? 0) }
            switch (replicas, result) {
            case (nil, _), (.success?, .failure): replicas = result
            case (.failure?, _): break
            case (.success(let least)?, .success(let count)): replicas = .success(min(least, count))
            }
        }

        private func finishOne() {
            missing -= 1
            guard missing == 0 else { return }
            // Commands that waited or were sent again can have been executed after the servers waited, or elsewhere.
            if wait != nil, !isWaiting || pending.contains(where: \.wasRejected) {
                let executed = pending.compactMap(\.connection)
                pending = []
                isWaiting = true
                replicas = nil
                isOnDisk = true
                missing = 1
                var connections: [RedisConnection] = []
                for connection in executed where !connections.contains(where: { $0 === connection }) { connections.append(connection) }
                awaitReplicas(of: connections)
                return finishOne()
            }
            completion(
                RedisBatchResult(
                    results: results, replicas: wait == nil ? nil : replicas ?? .success(0), isOnDisk: isOnDisk && replicas != nil))
        }
    }
}

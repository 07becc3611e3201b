// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayRedis
import NIOCore
import Synchronization

/// The extension of the time to live of owned sessions, which also checks that they are owned and complete.
extension RedisCommitter {
    static let tick = TimeAmount.milliseconds(100)
    /// The minimum number of due sessions that one tick refreshes.
    private static let refreshesPerTick = 500

    /// Refreshes the sessions that are due.
    func refreshDue(now: Int64 = LoopClock.monotonicNanoseconds()) {
        guard !status.isFailing.load(ordering: .relaxed) else { return }
        let ids = owned.due(
            now: now, calls: Int(settings.refreshInterval / Self.tick.nanoseconds), atLeast: Self.refreshesPerTick)
        refresh(ids) {}
    }

    /// Checks all owned sessions, in pipelines of limited size, and completes the promise after the last one.
    func verifyAll(_ promise: EventLoopPromise<Void>) {
        refreshAll()
        verifyDue(promise)
    }

    private func verifyDue(_ promise: EventLoopPromise<Void>) {
        let ids = owned.due(now: LoopClock.monotonicNanoseconds(), calls: .max, atLeast: Self.refreshesPerTick)
        guard !ids.isEmpty, !isClosed else { return promise.succeed() }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        refresh(Array(ids)) { bound.value.verifyDue(promise) }
    }

    private func refresh(_ ids: [ULID], completion: @escaping @Sendable () -> Void) {
        guard !ids.isEmpty else { return completion() }
        var sessions: [(id: ULID, epoch: UInt64)?] = []
        var commands: [RedisCommand] = []
        for id in ids {
            guard let session = owned[id] else { continue }
            for token in session.tokens {
                var command = RedisCommand("PEXPIRE")
                command.append(key: keys.token(token))
                command.append(settings.sessionMilliseconds)
                commands.append(command)
                sessions.append(nil)
            }
            if let user = session.user {
                commands += indexCommands(id, of: user)
                sessions += [nil, nil]
            }
            var command = RedisCommand(evaluating: StoreScripts.refresh, key: keys.session(id))
            command.append(owner)
            command.append(session.epoch)
            command.append(session.confirmed)
            command.append(settings.sessionMilliseconds)
            commands.append(command)
            sessions.append((id, session.epoch))
        }
        let bound = NIOLoopBound((self, sessions), eventLoop: eventLoop)
        client.sendBatch(commands) { result in
            let (committer, sessions) = bound.value
            for (session, reply) in zip(sessions, result.results) {
                if let session, case .success(let reply) = reply { committer.refreshed(session.id, session.epoch, reply) }
            }
            completion()
        }
    }

    private func refreshed(_ id: ULID, _ epoch: UInt64, _ reply: RedisReply) {
        guard let session = owned[id], session.epoch == epoch, session.phase == .active else { return }
        switch reply.number {
        case 1: lose(id, .fenced)
        // A session whose first commit isn't acknowledged may not be there yet.
        case 2 where session.confirmed > 0 || epoch > 1: lose(id, .gone)
        default: break
        }
    }

    /// Checks all owned sessions, because the store may have lost some.
    func refreshAll() { owned.refreshAll(now: LoopClock.monotonicNanoseconds()) }
}

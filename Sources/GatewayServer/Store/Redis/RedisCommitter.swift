// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import GatewayRedis
import NIOCore
import Synchronization

/// The queue of batches of a ``RedisStore``, confined to the event loop of its client.
///
/// Several batches are in flight at a time. A batch is complete when all its commands are, and batches complete in their order. After a
/// failure nothing further is sent until all replies have arrived; then the incomplete commands are sent again, in the same order. Serial
/// numbers in the hashes make this safe, whether or not the server executed a command whose reply was lost.
final class RedisCommitter {
    let client: RedisClient
    let keys: RedisKeys
    let settings: RedisStoreSettings
    let status: RedisStoreStatus
    let owner: String
    var owned: OwnedSessions
    var queue: Deque<CommitEntry> = []
    /// The number of entries at the front of the queue that aren't waiting, as far as known.
    private var sentCount = 0
    private var inFlight = 0
    private var isRetrying = false
    private var retryTask: Scheduled<Void>?
    /// The pause before the next attempt, in nanoseconds.
    private var pause = RedisCommitter.minimumPause
    /// The serial number of the last addition to usage.
    var usageSerial: UInt64 = 0
    /// Users that are in the index of a day.
    var indexedUsers: Set<String> = []
    var indexedDay: UTCDay?
    /// The claims that wait for their replies.
    var claims: [ULID: [EventLoopPromise<ClaimResult>]] = [:]
    var onLoss: @Sendable (ULID, SessionLoss) -> Void = { _, _ in }
    /// Called with the stored usage of a user on a day, and the part of it that this node has just added.
    var onUsage: @Sendable (String, UTCDay, UsageAmounts, UsageAmounts) -> Void = { _, _, _, _ in }
    /// The facts of each server at the last connect, by address.
    var servers: [String: RedisServerFacts] = [:]
    var storeEpoch: [UInt8]?
    var isClosed = false
    var ticks = 0

    var eventLoop: any EventLoop { client.eventLoop }

    private static let maximumInFlight = 64
    private static let minimumPause: Int64 = 50_000_000
    private static let maximumPause: Int64 = 2_000_000_000

    init(client: RedisClient, settings: RedisStoreSettings, status: RedisStoreStatus) {
        self.client = client
        self.settings = settings
        self.status = status
        keys = RedisKeys(prefix: settings.prefix)
        owner = settings.node.description
        owned = OwnedSessions(interval: settings.refreshInterval)
    }

    /// Adds an entry and sends it as soon as possible.
    func enqueue(_ entry: CommitEntry) {
        queue.append(entry)
        // Reported now, because the next attempt may be seconds away.
        if status.isFailing.load(ordering: .relaxed) { entry.reportFailure() }
        pump()
    }

    /// Sends waiting entries, and completes those at the front.
    func pump() {
        while !status.isFailing.load(ordering: .relaxed), inFlight < Self.maximumInFlight, sentCount < queue.count {
            let entry = queue[sentCount]
            sentCount += 1
            if entry.state == .waiting { send(entry) }
        }
        settle()
    }

    private func send(_ entry: CommitEntry) {
        var indices: [Int] = []
        var commands: [RedisCommand] = []
        for index in entry.commands.indices where !entry.commands[index].isDone {
            if isObsolete(entry.commands[index].role) {
                entry.commands[index].isDone = true
                continue
            }
            indices.append(index)
            commands.append(entry.commands[index].request)
        }
        guard !indices.isEmpty else {
            entry.state = .done
            return
        }
        entry.state = .sent
        entry.sentAt = LoopClock.monotonicNanoseconds()
        inFlight += 1
        let bound = NIOLoopBound((self, entry, indices), eventLoop: eventLoop)
        client.sendBatch(commands, wait: settings.replicaWait) { result in
            let (committer, entry, indices) = bound.value
            committer.completed(entry, indices, result)
        }
    }

    private func completed(_ entry: CommitEntry, _ indices: [Int], _ result: RedisBatchResult) {
        inFlight -= 1
        let outcome = handle(indices.map { (entry, $0) }, result)
        if outcome.isComplete {
            // Replies can require further commands.
            let isDone = entry.commands.allSatisfy(\.isDone)
            entry.state = isDone ? .done : .waiting
            if isDone { status.measured.withLock { $0.commitTime.record(LoopClock.monotonicNanoseconds() - entry.sentAt) } }
        } else {
            entry.state = .waiting
        }
        if let problem = outcome.problem { fail(problem) }
        if entry.state == .waiting { sentCount = 0 }
        pump()
        scheduleRetry()
    }

    /// Removes complete entries from the front of the queue.
    private func settle() {
        while let first = queue.first, first.state == .done {
            queue.removeFirst()
            sentCount = max(0, sentCount - 1)
            status.waitingBytes.subtract(first.bytes, ordering: .relaxed)
            first.reportCommit()
        }
    }

    // MARK: Outages

    /// Records a failure: nothing is sent until a retry succeeds.
    func fail(_ problem: RedisProblem) {
        status.measured.withLock { $0.errors &+= 1 }
        status.beginOutage(problem)
        for entry in queue { entry.reportFailure() }
        scheduleRetry()
    }

    /// Schedules the next attempt once no replies are missing.
    private func scheduleRetry() {
        guard status.isFailing.load(ordering: .relaxed), inFlight == 0, !isRetrying, retryTask == nil, !isClosed else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let delay = TimeAmount.nanoseconds(Int64.random(in: pause / 2...pause))
        retryTask = eventLoop.scheduleTask(in: delay) { bound.value.retry() }
        pause = min(2 * pause, Self.maximumPause)
    }

    /// Tries again at once, because the client has a new connection.
    func retryNow() {
        guard status.isFailing.load(ordering: .relaxed), let task = retryTask else { return }
        task.cancel()
        pause = Self.minimumPause
        retry()
    }

    /// Sends what proves that commits are possible again: the ends of sessions, which free memory, the additions to usage whose outcome is
    /// unknown, the first incomplete entry, and a probe.
    private func retry() {
        retryTask = nil
        guard !isClosed else { return }
        isRetrying = true
        sentCount = 0
        var references: [(CommitEntry, Int)] = []
        var ended: Set<ULID> = []
        for entry in queue {
            for index in entry.commands.indices where !entry.commands[index].isDone {
                switch entry.commands[index].role {
                case .end(let id, _, _) where !isObsolete(entry.commands[index].role):
                    ended.insert(id)
                    references.append((entry, index))
                case .usage where entry.commands[index].isUncertain: references.append((entry, index))
                default: break
                }
            }
        }
        if let first = queue.first(where: { $0.commands.contains { !$0.isDone } }) {
            for index in first.commands.indices where !first.commands[index].isDone {
                switch first.commands[index].role {
                case .end: continue
                // Those whose outcome is unknown must be executed before all others.
                case .usage: continue
                // An ended session must not be created again.
                case .commit(let id, _, _) where ended.contains(id): continue
                case let role where isObsolete(role): continue
                default: references.append((first, index))
                }
            }
        }
        var probe = RedisCommand("SET")
        probe.append(key: keys.probe)
        probe.append(owner)
        probe.append("PX" as StaticString)
        probe.append(60_000)
        let commands = references.map { $0.0.commands[$0.1].request } + [probe]
        let bound = NIOLoopBound((self, references), eventLoop: eventLoop)
        client.sendBatch(commands, wait: settings.replicaWait) { result in
            let (committer, references) = bound.value
            committer.retried(references, result)
        }
    }

    private func retried(_ references: [(CommitEntry, Int)], _ result: RedisBatchResult) {
        isRetrying = false
        let outcome = handle(references, result)
        if let problem = outcome.problem {
            fail(problem)
        } else if case .failure(let failure)? = result.results.last {
            fail(RedisProblem(failure))
        } else if case .disconnected(let reason) = client.state {
            // In a cluster another master is missing.
            fail(RedisProblem.lostConnection(reason))
        } else {
            pause = Self.minimumPause
            status.endOutage()
        }
        pump()
        scheduleRetry()
    }

    /// Handles the replies of commands, in their order.
    private func handle(
        _ references: [(CommitEntry, Int)], _ result: RedisBatchResult
    ) -> (isComplete: Bool, problem: RedisProblem?) {
        var isComplete = true
        var problem: RedisProblem?
        for ((entry, index), reply) in zip(references, result.results) {
            switch handle(reply, of: entry, at: index) {
            case .done:
                entry.commands[index].isDone = true
                entry.commands[index].isUncertain = false
            case .retry(let cause):
                isComplete = false
                problem = problem ?? cause
            }
        }
        guard problem == nil, let required = settings.replicaWait else { return (isComplete, problem) }
        switch result.replicas {
        case .success(let count) where count >= required.replicas: return (isComplete, nil)
        case .success(let count):
            problem = RedisProblem(.replicas, "\(count) of \(required.replicas) replicas have received the commits")
        case .failure(let failure): problem = RedisProblem(failure)
        case nil: problem = RedisProblem(.replicas, "the server didn't report the number of replicas")
        }
        // Sent again, because a wait covers only writes of its connection. The scripts don't apply them twice.
        for (entry, index) in references { entry.commands[index].isDone = false }
        return (false, problem)
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import GatewayRedis
import Logging
import NIOCore
import Synchronization

/// Checks the server of each new connection, and passes changes to the committer.
final class RedisServerMonitor: Sendable {
    private struct State {
        var committer: NIOLoopBound<RedisCommitter>?
        var facts: RedisServerFacts?
        var rejection: RedisProblem?
        /// Facts of connections before there was a committer.
        var early: [(endpoint: String, facts: RedisServerFacts)] = []
        var isDisconnected = false
    }

    private let settings: RedisStoreSettings
    private let keys: RedisKeys
    private let status: RedisStoreStatus
    private let state = Mutex(State())

    init(settings: RedisStoreSettings, status: RedisStoreStatus) {
        self.settings = settings
        self.status = status
        keys = RedisKeys(prefix: settings.prefix)
    }

    /// The facts of the last server that was accepted.
    var facts: RedisServerFacts? { state.withLock { $0.facts } }

    /// The reason why the last server was rejected; nil if it was accepted.
    var rejection: RedisProblem? { state.withLock { $0.rejection } }

    /// Passes everything to the committer from now on.
    func begin(_ committer: NIOLoopBound<RedisCommitter>) {
        committer.eventLoop.execute { [self] in
            let (early, isDisconnected) = state.withLock { state in
                state.committer = committer
                return (state.early, state.isDisconnected)
            }
            for (endpoint, facts) in early { committer.value.connected(to: endpoint, facts) }
            if isDisconnected { changed(.disconnected("the connection was lost")) }
        }
    }

    /// The client's hook for new connections.
    func check(_ connection: RedisNewConnection, _ completion: @escaping @Sendable (RedisFailure?) -> Void) {
        Task { [self] in
            let facts: RedisServerFacts
            do throws(RedisFailure) {
                facts = try await RedisServerFacts.read(
                    connection, keys: keys, random: String(UInt64.random(in: .min ... .max), radix: 16))
            } catch {
                return completion(error)
            }
            let isFirst = state.withLock { $0.committer == nil }
            if let problem = facts.problem(settings, isFirst: isFirst) {
                state.withLock { $0.rejection = problem }
                return completion(.unavailable(problem.text))
            }
            accept(facts, from: connection.endpoint.description)
            completion(nil)
        }
    }

    private func accept(_ facts: RedisServerFacts, from endpoint: String) {
        if facts.evictionPolicy != "noeviction", self.facts?.evictionPolicy != facts.evictionPolicy {
            status.logger.warning(
                "the server may evict sessions", metadata: ["address": "\(endpoint)", "maxmemory_policy": "\(facts.evictionPolicy)"])
        }
        let committer = state.withLock { state in
            state.facts = facts
            state.rejection = nil
            if state.committer == nil { state.early.append((endpoint, facts)) }
            return state.committer
        }
        committer?.eventLoop.execute { committer?.value.connected(to: endpoint, facts) }
    }

    /// The client's handler for changes of its state, called on the event loop.
    func changed(_ change: RedisClientState) {
        let (committer, rejection) = state.withLock { state in
            if case .disconnected = change { state.isDisconnected = true } else { state.isDisconnected = false }
            return (state.committer, state.rejection)
        }
        guard let committer else { return }
        switch change {
        case .connecting, .closed: break
        case .connected: committer.value.retryNow()
        case .disconnected(let reason): committer.value.fail(rejection ?? RedisProblem.lostConnection(reason))
        }
    }
}

/// Connections and time.
extension RedisCommitter {
    /// Records the facts of a server, and checks all sessions if the server may have lost some.
    func connected(to endpoint: String, _ facts: RedisServerFacts) {
        let isKnown = servers.isEmpty || servers[endpoint]?.runID == facts.runID
        servers[endpoint] = facts
        status.measured.withLock { $0.bytes = facts.usedMemory }
        var hasChanged = false
        if let epoch = facts.storeEpoch {
            hasChanged = storeEpoch.map { $0 != epoch } ?? false
            storeEpoch = epoch
        }
        if hasChanged {
            status.logger.error(
                "the store lost its contents: checking all sessions",
                metadata: ["address": "\(endpoint)", "sessions": .stringConvertible(owned.count)])
        }
        guard hasChanged || !isKnown else { return }
        indexedUsers = []
        refreshAll()
    }

    /// Called every ``tick``.
    func tick() {
        refreshDue()
        ticks += 1
        guard ticks.isMultiple(of: Self.ticksPerReading), !status.isFailing.load(ordering: .relaxed) else { return }
        var command = RedisCommand("INFO")
        command.append("memory" as StaticString)
        let status = status
        client.send(command) { result in
            guard case .success(let reply) = result, let text = reply.text else { return }
            let bytes = RedisServerFacts(version: "", info: text).usedMemory
            status.measured.withLock { $0.bytes = bytes }
        }
    }

    /// The number of ticks between two readings of the server's memory.
    private static let ticksPerReading = 100

    /// Drops what isn't committed.
    func close() {
        isClosed = true
        for entry in queue { entry.abandon() }
        queue = []
    }
}

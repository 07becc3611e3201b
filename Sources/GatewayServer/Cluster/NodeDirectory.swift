// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import Logging
import ServiceLifecycle
import Synchronization

/// The nodes of the cluster, and the lease of this one, which a service renews three times in its duration.
///
/// A node whose lease has ended is gone for the others: they claim its sessions. A process that was suspended for longer rejects work until
/// it has renewed its lease and checked which sessions it still owns.
package final class NodeDirectory: Service, CustomStringConvertible {
    private struct State {
        var record: NodeRecord
        var others: [ULID: NodeRecord] = [:]
        var isFailing = false
        var isReplaced = false
    }

    private let state: Mutex<State>
    private let held: NodeLease
    /// `cluster.lease`.
    package let lease: Duration
    private let store: any SharedStore
    private let load: @Sendable () -> Int
    /// Called after the lease has ended and was renewed, before work is accepted again.
    private let verify: @Sendable () async -> Void
    /// Called when another process has taken this node's name.
    private let replaced: @Sendable () async -> Void
    private let health: HealthRegistry
    private let logger: Logger

    package init(
        _ record: NodeRecord, lease: Duration, held: NodeLease, store: any SharedStore, health: HealthRegistry, logger: Logger,
        load: @escaping @Sendable () -> Int, verify: @escaping @Sendable () async -> Void, replaced: @escaping @Sendable () async -> Void
    ) {
        state = Mutex(State(record: record))
        self.lease = lease
        self.held = held
        self.store = store
        self.health = health
        self.logger = logger
        self.load = load
        self.verify = verify
        self.replaced = replaced
    }

    /// The service's name in log lines of the service lifecycle.
    package var description: String { "node directory" }

    package var record: NodeRecord { state.withLock { $0.record } }
    /// The other nodes, as of the last renewal of the lease.
    package var others: [NodeRecord] { state.withLock { $0.others.values.sorted { $0.name < $1.name } } }
    package func other(_ id: ULID) -> NodeRecord? { state.withLock { $0.others[id] } }

    /// Announces the node, replacing a process of the same name that has crashed. To be called before connections are accepted.
    package func start() async throws(StoreError) {
        _ = try await renew(replaces: true)
        try await refresh()
        health.set(.cluster, .ready)
        logger.notice(
            "node announced",
            metadata: [
                "node": "\(record.name)", "node_id": "\(record.id)", "address": "\(record.address)",
                "others": .stringConvertible(others.count),
            ])
    }

    package func run() async throws {
        let pause = lease / 3
        while (try? await cancelWhenGracefulShutdown { try await Task.sleep(for: pause) }) != nil { await tick() }
    }

    /// Ends the lease, so that other nodes can claim what this one still owns.
    package func leave() async {
        held.set(.min)
        do {
            try await store.withdraw(record)
            logger.notice("node withdrawn", metadata: ["node": "\(record.name)", "node_id": "\(record.id)"])
        } catch {
            logger.warning("the node can't be withdrawn; its lease ends by itself", metadata: ["error": "\(error)"])
        }
    }

    /// Fetches the list of nodes.
    @discardableResult
    package func refresh() async throws(StoreError) -> [ULID: NodeRecord] {
        let nodes = try await store.nodes()
        return state.withLock { state in
            state.others = [:]
            for node in nodes where node.id != state.record.id { state.others[node.id] = node }
            return state.others
        }
    }

    /// Renews the lease. The log and the health change only with the outcome.
    func tick() async {
        let hadLease = held.isHeld
        do throws(StoreError) {
            guard try await renew(replaces: false) else { return await loseName() }
            try await refresh()
            if !hadLease {
                logger.warning("the lease of the node had ended; checking the ownership of its sessions")
                await verify()
            }
            if state.withLock({ state in
                defer { state.isFailing = false }
                return state.isFailing
            }) {
                logger.notice("the lease of the node is renewed again")
            }
            health.set(.cluster, .ready)
        } catch {
            let isNews = state.withLock { state in
                defer { state.isFailing = true }
                return !state.isFailing
            }
            if isNews { logger.error("the lease of the node can't be renewed", metadata: ["error": "\(error)"]) }
            if !held.isHeld { health.set(.cluster, .notReady("the lease of the node has ended")) }
        }
    }

    private func renew(replaces: Bool) async throws(StoreError) -> Bool {
        let begin = LoopClock.monotonicNanoseconds()
        let record = state.withLock { state in
            state.record.load = load()
            return state.record
        }
        guard try await store.announce(record, lease: lease, replaces: replaces) else { return false }
        // Counted from before the request, as the store counts from after it.
        held.set(begin &+ lease.clampedNanoseconds)
        return true
    }

    private func loseName() async {
        held.set(.min)
        let isNews = state.withLock { state in
            defer { state.isReplaced = true }
            return !state.isReplaced
        }
        guard isNews else { return }
        logger.critical(
            "another process has the name of this node: all sessions are dropped, and work is rejected until a restart",
            metadata: ["node": "\(record.name)"])
        health.set(.cluster, .notReady("another process has the name of this node; change cluster.node and restart"))
        await replaced()
    }
}

// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Logging
import NIOCore

/// The part of ``RedisClient`` that is used on its event loop only: masters, routes and redirections.
final class ClientCore {
    let settings: RedisSettings
    let eventLoop: any EventLoop
    let logger: Logger
    let connector: RedisConnector
    let resolver: MasterResolver
    let onConnect: RedisClient.ConnectHook?
    /// Stores the state for other threads, before any completion is called.
    let publish: @Sendable (RedisClientState) -> Void
    /// Called when the state has changed.
    let onStateChange: @Sendable (RedisClientState) -> Void

    /// The masters: one, or those of the cluster that are known.
    var nodes: [MasterNode] = []
    /// The master of each slot of a cluster; empty if the client has a single master, and until the slots are known.
    var owners: [MasterNode?] = []
    /// The slots whose commands wait.
    var lanes: [Int: SlotLane] = [:]
    /// The commands that wait until the slots of the cluster are known for the first time.
    var unrouted: [PendingCommand] = []
    var discovery = ClusterDiscovery()
    private(set) var state = RedisClientState.connecting
    private var reportedState = RedisClientState.connecting
    private(set) var isClosed = false
    private(set) var isStarted = false
    private var pinger: RepeatedTask?
    private var watch: SentinelWatch?

    init(
        settings: RedisSettings, eventLoop: any EventLoop, logger: Logger, onConnect: RedisClient.ConnectHook?,
        publish: @escaping @Sendable (RedisClientState) -> Void, onStateChange: @escaping @Sendable (RedisClientState) -> Void
    ) {
        self.settings = settings
        self.eventLoop = eventLoop
        self.logger = logger
        self.onConnect = onConnect
        self.publish = publish
        self.onStateChange = onStateChange
        connector = RedisConnector(settings: settings, eventLoop: eventLoop)
        resolver = MasterResolver(connector: connector)
    }

    func start() {
        guard !isStarted, !isClosed else { return }
        isStarted = true
        if settings.mode == .cluster {
            discoverCluster()
        } else {
            let node = MasterNode(core: self, fixedEndpoint: nil)
            nodes = [node]
            node.connect()
            let waiting = unrouted
            unrouted = []
            for pending in waiting { node.send(pending) }
        }
        if case .sentinel(let name) = settings.mode {
            watch = SentinelWatch(connector: connector, master: name) { [self] endpoint in
                if let node = nodes.first, node.endpoint != endpoint { node.masterChanged("the master is now \(endpoint)") }
            }
            watch?.start()
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        pinger = eventLoop.scheduleRepeatedTask(initialDelay: settings.pingInterval, delay: settings.pingInterval) { _ in
            bound.value.pingIdleConnections()
        }
    }

    /// Detects lost connections without waiting for a command.
    private func pingIdleConnections() {
        for node in nodes {
            if let connection = node.connection, connection.inFlight.isEmpty { connection.send(RedisCommand("PING")) { _ in } }
        }
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        pinger?.cancel()
        watch?.stop()
        updateState()
        let reason = "the client is closed"
        for node in nodes { node.stop(reason) }
        for lane in lanes.values { fail(lane, reason) }
        lanes = [:]
        let waiting = unrouted
        unrouted = []
        for pending in waiting { pending.complete(.failure(.unavailable(reason))) }
        nodes = []
        owners = []
        changed()
    }

    // MARK: Routes

    /// Sends a command to the master of its slot.
    ///
    /// - Returns: the connection on which the command was sent; nil if it waits or has failed
    @discardableResult
    func send(_ pending: PendingCommand) -> RedisConnection? {
        guard !isClosed else {
            pending.complete(.failure(.unavailable("the client is closed")))
            return nil
        }
        if !lanes.isEmpty, let slot = pending.command.slot, lanes[slot] != nil {
            lanes[slot]?.held.append(pending)
            return nil
        }
        return route(pending)
    }

    /// Sends a command to the master of its slot, without regard to lanes.
    @discardableResult
    func route(_ pending: PendingCommand) -> RedisConnection? {
        if settings.mode == .cluster {
            if let endpoint = pending.askedEndpoint { return node(at: endpoint).send(pending) }
            if let slot = pending.command.slot, !owners.isEmpty {
                if let node = owners[slot] { return node.send(pending) }
                pending.complete(.failure(.unavailable("the cluster has no master for slot \(slot)")))
                refreshCluster()
                return nil
            }
            // A command without a key can be sent to any master.
            if !owners.isEmpty, let node = nodes.first(where: { $0.connection != nil }) ?? nodes.first { return node.send(pending) }
        } else if let node = nodes.first {
            return node.send(pending)
        }
        if case .disconnected(let reason) = state {
            pending.complete(.failure(.unavailable(reason)))
        } else {
            unrouted.append(pending)
        }
        return nil
    }

    // MARK: State

    /// Determines the state and stores it for other threads. The handler isn't called yet.
    func updateState() {
        state = currentState()
        publish(state)
    }

    /// Determines the state, and calls the handler if it has changed.
    func changed() {
        updateState()
        guard state != reportedState else { return }
        reportedState = state
        onStateChange(state)
    }

    private func currentState() -> RedisClientState {
        if isClosed { return .closed }
        let isCluster = settings.mode == .cluster
        if isCluster, owners.isEmpty { return discovery.failure.map { .disconnected($0) } ?? .connecting }
        let needed = isCluster ? nodes.filter { $0.ownsSlots } : nodes
        for node in needed { if case .waiting(let reason) = node.phase { return .disconnected(reason) } }
        if needed.allSatisfy({ $0.connection != nil }), !needed.isEmpty {
            guard isCluster, let slot = owners.firstIndex(where: { $0 == nil }) else { return .connected }
            return .disconnected("the cluster has no master for slot \(slot)")
        }
        // While a connection is opened, the state is that of before.
        return state
    }

    // MARK: Connecting

    /// Calls the client's hook for a new connection.
    func check(_ opened: RedisConnector.Opened, of node: MasterNode, completion: @escaping (RedisFailure?) -> Void) {
        guard let onConnect else { return completion(nil) }
        let loop = eventLoop
        let connection = NIOLoopBound(opened.connection, eventLoop: loop)
        let completion = NIOLoopBoundBox<((RedisFailure?) -> Void)?>(completion, eventLoop: loop)
        let finish: @Sendable (RedisFailure?) -> Void = { failure in
            if loop.inEventLoop { completion.value.take()?(failure) } else { loop.execute { completion.value.take()?(failure) } }
        }
        let slots = servedSlots(of: node)
        let new = RedisNewConnection(
            endpoint: opened.connection.endpoint, serverVersion: opened.greeting.version, serves: { slots?.contains($0) ?? true },
            perform: { command, reply in
                if loop.inEventLoop { return connection.value.send(command, completion: reply) }
                loop.execute { connection.value.send(command, completion: reply) }
            })
        eventLoop.assumeIsolated().scheduleTask(in: Self.hookTimeout) {
            completion.value.take()?(.unavailable("the check of the server took longer than \(Self.hookTimeout.text)"))
        }
        onConnect(new, finish)
    }

    /// The limit on the duration of the hook.
    private static let hookTimeout = TimeAmount.seconds(30)

    func attemptFailed(_ node: MasterNode) {
        if settings.mode == .cluster { refreshCluster() }
    }
}

@available(*, unavailable)
extension ClientCore: Sendable {}

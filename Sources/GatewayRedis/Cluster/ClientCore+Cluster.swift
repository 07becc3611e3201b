// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

extension MasterNode {
    /// Whether the node is a master of slots, according to the cluster.
    var ownsSlots: Bool { slotCount > 0 }
}

extension ClientCore {
    /// Asks for the masters of all slots as soon as ``ClusterDiscovery/interval`` allows it.
    func refreshCluster() {
        guard settings.mode == .cluster, !isClosed else { return }
        guard !discovery.isRunning else {
            discovery.isRepeated = true
            return
        }
        discovery.isRunning = true
        eventLoop.assumeIsolated().scheduleTask(deadline: discovery.lastStart + ClusterDiscovery.interval) { [self] in discoverCluster() }
    }

    /// Asks the masters that are connected, then the other known nodes, until one of them replies.
    func discoverCluster() {
        guard !isClosed else { return }
        discovery.isRunning = true
        discovery.isRepeated = false
        discovery.lastStart = .now()
        let connected = nodes.compactMap(\.connection).shuffled()
        var candidates = nodes.compactMap(\.fixedEndpoint).shuffled()
        for endpoint in settings.endpoints.shuffled() where !candidates.contains(endpoint) { candidates.append(endpoint) }
        ask(connected[...], candidates[...], reason: "no node is configured")
    }

    private func ask(_ connections: ArraySlice<RedisConnection>, _ candidates: ArraySlice<RedisEndpoint>, reason: String) {
        guard !isClosed else { return }
        if let connection = connections.first {
            connection.send(.clusterSlots) { [self] result in
                received(result, from: connection.endpoint) { [self] reason in ask(connections.dropFirst(), candidates, reason: reason) }
            }
        } else if let endpoint = candidates.first {
            connector.connect(to: endpoint, for: .clusterNode) { [self] result in
                switch result {
                case .failure(let failure): ask([], candidates.dropFirst(), reason: failure.reason)
                case .success(let opened):
                    opened.connection.send(.clusterSlots) { [self] result in
                        defer { opened.connection.close("done") }
                        received(result, from: endpoint) { [self] reason in ask([], candidates.dropFirst(), reason: reason) }
                    }
                }
            }
        } else {
            discoveryFailed(reason)
        }
    }

    private func received(_ result: Result<RedisReply, RedisFailure>, from server: RedisEndpoint, otherwise: @escaping (String) -> Void) {
        guard !isClosed else { return }
        switch result {
        case .failure(let failure): otherwise("\(server): \(failure)")
        case .success(let reply):
            guard let map = ClusterMap(reply, from: server) else { return otherwise("\(server): unexpected reply to CLUSTER SLOTS") }
            // A node that was reset, or has just started, knows no slots.
            guard !map.ranges.isEmpty else { return otherwise("\(server): the cluster has no slots") }
            apply(map)
        }
    }

    private func discoveryFailed(_ reason: String) {
        discovery.isRunning = false
        discovery.failures += 1
        if owners.isEmpty {
            discovery.failure = reason
            updateState()
            let waiting = unrouted
            unrouted = []
            for pending in waiting { pending.complete(.failure(.unavailable(reason))) }
        }
        changed()
        var backoff = Backoff()
        backoff.base = .milliseconds(50)
        let delay = backoff.delay(after: discovery.failures, random: .random(in: 0..<1))
        eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [self] in refreshCluster() }
    }

    // MARK: The map

    private func apply(_ map: ClusterMap) {
        discovery.isRunning = false
        discovery.failures = 0
        discovery.failure = nil
        for node in nodes { node.slotCount = 0 }
        owners = Array(repeating: nil, count: KeySlot.count)
        var added: [MasterNode] = []
        for range in map.ranges {
            let (node, isNew) = findOrAdd(range.master)
            if isNew { added.append(node) }
            for slot in range.slots { setOwner(node, of: slot) }
        }
        // A master without slots may be the target of ASK and is kept while it is used.
        let removed = nodes.filter { !$0.ownsSlots && $0.isUnused }
        nodes.removeAll { node in removed.contains { $0 === node } }
        for node in removed { node.stop("the server isn't a master of the cluster any more") }
        // The slots are assigned before the nodes connect, because the client's hook asks for them.
        for node in added { node.connect() }
        let waiting = unrouted
        unrouted = []
        for pending in waiting { send(pending) }
        changed()
        if discovery.isRepeated { refreshCluster() }
    }

    /// Whether a redirection may add another node. Empty masters and outdated addresses are additional to the masters of slots.
    var mayAddNodes: Bool { nodes.count < 2 * ClusterMap.maxMasters }

    /// Changes the master of a slot, as a redirection says.
    func assign(_ slot: Int, to endpoint: RedisEndpoint) {
        guard !owners.isEmpty else { return }
        setOwner(node(at: endpoint), of: slot)
    }

    /// Returns the node with this address, and connects to it if it is new.
    func node(at endpoint: RedisEndpoint) -> MasterNode {
        let (node, isNew) = findOrAdd(endpoint)
        if isNew { node.connect() }
        return node
    }

    private func findOrAdd(_ endpoint: RedisEndpoint) -> (MasterNode, isNew: Bool) {
        if let node = nodes.first(where: { $0.fixedEndpoint == endpoint }) { return (node, false) }
        let node = MasterNode(core: self, fixedEndpoint: endpoint)
        nodes.append(node)
        return (node, true)
    }

    private func setOwner(_ node: MasterNode, of slot: Int) {
        owners[slot]?.slotCount -= 1
        owners[slot] = node
        node.slotCount += 1
    }

    /// The slots of a node; nil if it serves all keys.
    func servedSlots(of node: MasterNode) -> Set<Int>? {
        guard settings.mode == .cluster else { return nil }
        return Set(owners.indices.filter { owners[$0] === node })
    }
}

extension RedisCommand {
    fileprivate static let clusterSlots: RedisCommand = {
        var command = RedisCommand("CLUSTER")
        command.append("SLOTS" as StaticString)
        return command
    }()
}

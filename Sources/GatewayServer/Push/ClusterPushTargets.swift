// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Logging
import Synchronization

/// The sessions of one node, for pushes of all nodes.
package protocol LocalPushTargets: PushTargets {
    /// Pushes into sessions by their ids. Those that aren't on this node are in ``PushResult/missing``.
    func push(_ push: Push, into sessions: [ULID]) async -> PushResult

    /// The sessions of a user on this node.
    func sessions(ofUser user: String) async -> [ULID]
}

/// The sessions of all nodes. A session whose node is dead is claimed for the push.
package struct ClusterPushTargets: PushTargets {
    private let local: any LocalPushTargets
    private let cluster: SessionCluster

    /// How long a node has to push.
    private static let timeout = Duration.seconds(5)

    package init(local: any LocalPushTargets, cluster: SessionCluster) {
        self.local = local
        self.cluster = cluster
        cluster.handle(.push) { [local] message in
            guard let request = try? ClusterPush(record: message) else { return [] }
            let result =
                switch request.target {
                case .sessions(let sessions): await local.push(request.push, into: sessions)
                case .all: (try? await local.pushToAll(request.push)) ?? PushResult()
                }
            return ClusterPushReply(result).record
        }
    }

    package var undelivered: UndeliveredPushes { local.undelivered }

    package func hasEnded(_ session: ULID) async -> Bool { await local.hasEnded(session) }

    package func supervise(
        _ session: ULID, _ command: SupervisionCommand, by name: String
    ) async -> Result<SupervisionReport, SupervisionFault>? { await local.supervise(session, command, by: name) }

    package func push(_ push: Push, to session: ULID) async -> PushResult? {
        // The usual case: requests about a session are executed on its node.
        if let result = await local.push(push, to: session) { return result }
        let result = await self.push(push, into: [session])
        return result.missing.isEmpty ? result : nil
    }

    package func push(_ push: Push, toUser user: String, startedAfter start: ULID?) async throws -> PushResult {
        var ids = Set(await local.sessions(ofUser: user))
        for session in try await cluster.store.sessions(ofUser: user) { ids.insert(session.id) }
        var result = await self.push(push, into: ids.filter { id in start.map { $0 < id } ?? true })
        // Sessions that have ended meanwhile don't count.
        result.missing = []
        return result
    }

    package func pushToAll(_ push: Push) async throws -> PushResult {
        let nodes = try await cluster.directory.refresh().values
        let message = ClusterPush(push, to: .all)
        return await withTaskGroup(of: PushResult.self) { group in
            group.addTask { [local] in (try? await local.pushToAll(push)) ?? PushResult() }
            for node in nodes {
                group.addTask { [self] in
                    switch await send(message, to: node) {
                    case .success(let result): return result
                    case .failure:
                        var result = PushResult()
                        result.missingNodes = [node.name]
                        return result
                    }
                }
            }
            var result = PushResult()
            for await part in group { result.add(part) }
            return result
        }
    }

    // MARK: Sessions by their ids

    /// Pushes into sessions, wherever they are, and follows those that move between nodes meanwhile.
    private func push(_ push: Push, into sessions: some Sequence<ULID>) async -> PushResult {
        let deadline = ContinuousClock.now + cluster.operatorPatience
        var (left, result) = (Set(sessions), PushResult())
        while true {
            let places = await places(of: left)
            result.missing += places.nowhere
            var here = await local.push(push, into: places.here)
            var again = Set(here.missing)
            here.missing = []
            result.add(here)
            for (node, ids) in places.nodes {
                switch await send(push, into: ids, on: node) {
                case .success(var part):
                    again.formUnion(part.missing)
                    part.missing = []
                    result.add(part)
                case .failure(let fault):
                    if fault.isNotExecuted, ContinuousClock.now < deadline {
                        // The node may be dead: its lease decides.
                        _ = try? await cluster.directory.refresh()
                        again.formUnion(ids)
                    } else {
                        fail(push, in: ids, on: node, result: &result)
                    }
                }
            }
            fail(push, in: places.failed, .storeUnavailable, result: &result)
            left = again
            guard !left.isEmpty else { return result }
            guard ContinuousClock.now < deadline, (try? await Task.sleep(for: SessionCluster.placePause)) != nil else {
                fail(push, in: Array(left), result: &result)
                return result
            }
        }
    }

    /// The sessions of a push by the node on which they are.
    private struct Places {
        var here: [ULID] = []
        var nodes: [NodeRecord: [ULID]] = [:]
        var nowhere: [ULID] = []
        /// Sessions whose node can't be determined, because the store doesn't respond.
        var failed: [ULID] = []
    }

    private func places(of sessions: Set<ULID>) async -> Places {
        var places = Places()
        for id in sessions.sorted() {
            do {
                switch try await cluster.place(of: id) {
                case .here: places.here.append(id)
                case .node(let node): places.nodes[node, default: []].append(id)
                case .nowhere: places.nowhere.append(id)
                }
            } catch {
                places.failed.append(id)
            }
        }
        return places
    }

    private func send(_ push: Push, into ids: [ULID], on node: NodeRecord) async -> Result<PushResult, PushFault> {
        var result = PushResult()
        for start in stride(from: 0, to: ids.count, by: ClusterPush.maximumSessions) {
            let page = Array(ids[start..<min(start + ClusterPush.maximumSessions, ids.count)])
            switch await send(ClusterPush(push, to: .sessions(page)), to: node) {
            case .success(let part): result.add(part)
            // The sessions of earlier pages have the push already.
            case .failure where start > 0: fail(push, in: Array(ids[start...]), on: node, result: &result)
            case .failure(let fault): return .failure(fault)
            }
        }
        return .success(result)
    }

    private struct PushFault: Error {
        /// Whether the node surely didn't push.
        var isNotExecuted: Bool
    }

    private func send(_ message: ClusterPush, to node: NodeRecord) async -> Result<PushResult, PushFault> {
        guard let address = SocketEndpoint(node.address) else { return .failure(PushFault(isNotExecuted: false)) }
        cluster.counters.requests.add(1, ordering: .relaxed)
        do {
            let reply = try await withDeadline(Self.timeout) { [cluster] in
                try await cluster.links.request(
                    message.record, kind: NodeRequestKind.push.rawValue, to: node.id, at: address, timeout: Self.timeout)
            }
            return .success(PushResult(try ClusterPushReply(record: reply)))
        } catch {
            cluster.counters.failures.add(1, ordering: .relaxed)
            cluster.logger.warning(
                "a node didn't respond to a push", metadata: ["node": "\(node.id)", "push_id": "\(message.push.id)", "error": "\(error)"])
            let isNotExecuted =
                switch error as? NodeLinkError {
                case .unreachable, .rejected: true
                default: false
                }
            return .failure(PushFault(isNotExecuted: isNotExecuted))
        }
    }

    private func fail(
        _ push: Push, in ids: [ULID], on node: NodeRecord? = nil, _ reason: PushFailure = .nodeUnreachable, result: inout PushResult
    ) {
        for id in ids { undelivered.add(FailedPush(push, reason), session: id, user: push.user) }
        result.failures += ids.count
        if let node, !result.missingNodes.contains(node.name) { result.missingNodes.append(node.name) }
    }
}

extension Push {
    /// The user to whom the push is addressed; nil for another audience.
    fileprivate var user: String? { if case .user(let user) = audience { user } else { nil } }
}

extension ClusterPushReply {
    init(_ result: PushResult) {
        let listed = result.deliveries.prefix(Self.maximumCount)
        self.init(
            deliveries: listed.map { Delivery(session: $0.session, sequence: $0.sequence) },
            unlisted: result.deliveries.count - listed.count, failures: result.failures,
            missing: Array(result.missing.prefix(Self.maximumCount)))
    }
}

extension PushResult {
    fileprivate init(_ reply: ClusterPushReply) {
        self.init()
        deliveries = reply.deliveries.map { Delivery(session: $0.session, sequence: $0.sequence) }
        unlisted = reply.unlisted
        failures = reply.failures
        missing = reply.missing
    }
}

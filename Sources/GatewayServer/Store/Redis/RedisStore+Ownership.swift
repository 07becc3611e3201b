// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayRedis
import NIOCore

/// The owners of sessions.
extension RedisStore {
    package func locate(_ token: TokenHash) async throws(StoreError) -> SessionLocation {
        var get = RedisCommand("GET")
        get.append(key: keys.token(token))
        guard let text = try await send(get).text else { return .unknown }
        guard text != "-" else { return .ended }
        guard let id = ULID(text) else { return .unknown }
        var head = RedisCommand("HMGET")
        head.append(key: keys.session(id))
        head.append("o" as StaticString)
        head.append("e" as StaticString)
        let fields = try await send(head).elements ?? []
        guard fields.count == 2, let owner = fields[0].text.flatMap({ ULID($0) }), let epoch = fields[1].number else { return .unknown }
        return .session(id, owner: owner, epoch: UInt64(clamping: epoch))
    }

    package func claim(_ id: ULID, epoch: UInt64) async throws(StoreError) -> ClaimResult {
        try await onCommitter { committer, promise in committer.claim(id, epoch: epoch, promise: promise) }
    }

    package func handOver(_ id: ULID, to node: ULID) async throws(StoreError) -> UInt64? {
        try await onCommitter { committer, promise in committer.handOver(id, to: node, promise: promise) }
    }

    package func adopt(_ id: ULID, epoch: UInt64) {
        let committer = committer
        client.eventLoop.execute { committer.value.adopt(id, epoch: epoch) }
    }

    package func loadSession(_ id: ULID) async throws(StoreError) -> StoredSession? {
        var command = RedisCommand("HGETALL")
        command.append(key: keys.session(id))
        let fields = try await send(command).elements ?? []
        return fields.isEmpty ? nil : StoredSession(id: id, fields: fields)
    }

    package func verifyOwnership() async {
        let promise = client.eventLoop.makePromise(of: Void.self)
        let committer = committer
        client.eventLoop.execute { committer.value.verifyAll(promise) }
        try? await promise.futureResult.get()
    }

    package func setLossHandler(_ handler: @escaping @Sendable (ULID, SessionLoss) -> Void) {
        let committer = committer
        client.eventLoop.execute { committer.value.onLoss = handler }
    }

    private func onCommitter<Value: Sendable>(
        _ body: @escaping @Sendable (RedisCommitter, EventLoopPromise<Value>) -> Void
    ) async throws(StoreError) -> Value {
        let promise = client.eventLoop.makePromise(of: Value.self)
        let committer = committer
        client.eventLoop.execute {
            guard !committer.value.isClosed else {
                return promise.fail(StoreError(path: committer.value.settings.name, problem: "the store was closed", isTemporary: true))
            }
            body(committer.value, promise)
        }
        do {
            return try await promise.futureResult.get()
        } catch {
            throw StoreError(error, path: settings.name)
        }
    }

    // MARK: Nodes

    package func announce(_ node: NodeRecord, lease: Duration, replaces: Bool) async throws(StoreError) -> Bool {
        var announce = RedisCommand(evaluating: StoreScripts.announce, key: keys.node(node.name))
        announce.append(node.id.description)
        announce.append(node.address)
        announce.append(node.load)
        announce.append(node.started)
        announce.append(max(1, lease.clampedNanoseconds / 1_000_000))
        announce.append(replaces ? 1 : 0)
        var list = RedisCommand("ZADD")
        list.append(key: keys.nodes)
        list.append(WallTime.now().unixMilliseconds)
        list.append(node.name)
        return try await send([announce, list])[0].number == 1
    }

    package func nodes() async throws(StoreError) -> [NodeRecord] {
        var list = RedisCommand("ZRANGE")
        list.append(key: keys.nodes)
        list.append(0)
        list.append(-1)
        let names = (try await send(list).elements ?? []).compactMap(\.text)
        let leases = try await send(
            names.map { name in
                var command = RedisCommand("HGETALL")
                command.append(key: keys.node(name))
                return command
            })
        // Names whose last lease ended long ago are forgotten.
        var forget = RedisCommand("ZREMRANGEBYSCORE")
        forget.append(key: keys.nodes)
        forget.append("-inf" as StaticString)
        forget.append(WallTime.now().unixMilliseconds - Self.nodeMemory)
        _ = try? await send(forget)
        return zip(names, leases).compactMap { name, lease in
            guard let id = lease.value(of: "id")?.text.flatMap({ ULID($0) }), let address = lease.value(of: "address")?.text else {
                return nil
            }
            return NodeRecord(
                name: name, id: id, address: address, load: Int(clamping: lease.value(of: "load")?.number ?? 0),
                started: lease.value(of: "started")?.number ?? 0)
        }
    }

    /// How long the name of a node without a lease is listed, in ms.
    private static let nodeMemory: Int64 = 86_400_000

    package func withdraw(_ node: NodeRecord) async throws(StoreError) {
        var command = RedisCommand(evaluating: StoreScripts.withdraw, key: keys.node(node.name))
        command.append(node.id.description)
        _ = try await send(command)
    }
}

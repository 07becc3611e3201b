// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayRedis
import NIOCore

/// Owners of sessions, sessions of users, and idempotency keys, for requests of operators.
extension RedisStore {
    package func locate(_ id: ULID) async throws(StoreError) -> SessionLocation {
        Self.location(of: id, try await send(ownerQuery(id))) ?? .unknown
    }

    private func ownerQuery(_ id: ULID) -> RedisCommand {
        var command = RedisCommand("HMGET")
        command.append(key: keys.session(id))
        command.append("o" as StaticString)
        command.append("e" as StaticString)
        return command
    }

    private static func location(of id: ULID, _ reply: RedisReply) -> SessionLocation? {
        let fields = reply.elements ?? []
        guard fields.count == 2, let owner = fields[0].text.flatMap({ ULID($0) }), let epoch = fields[1].number else { return nil }
        return .session(id, owner: owner, epoch: UInt64(clamping: epoch))
    }

    // MARK: Sessions of users

    /// Number of sessions whose owners are fetched at once.
    private static let ownersPerPage = 500

    package func sessions(ofUser user: String) async throws(StoreError) -> [SessionLocation.Owned] {
        var list = RedisCommand("SMEMBERS")
        list.append(key: keys.sessions(of: user))
        let ids = (try await send(list).elements ?? []).compactMap { $0.text.flatMap { ULID($0) } }
        var found: [SessionLocation.Owned] = []
        var stale: [ULID] = []
        for start in stride(from: 0, to: ids.count, by: Self.ownersPerPage) {
            let page = ids[start..<min(start + Self.ownersPerPage, ids.count)]
            for (id, reply) in zip(page, try await send(page.map { ownerQuery($0) })) {
                if case .session(_, let owner, _)? = Self.location(of: id, reply) {
                    found.append(SessionLocation.Owned(id: id, owner: owner))
                } else {
                    stale.append(id)
                }
            }
        }
        if !stale.isEmpty {
            let (stale, committer) = (stale, committer)
            client.eventLoop.execute { committer.value.unindex(stale, of: user) }
        }
        return found
    }

    // MARK: Idempotency keys

    package func beginRequest(_ key: [UInt8], digest: [UInt8]) async throws(StoreError) -> SharedRequest {
        var command = RedisCommand(evaluating: StoreScripts.beginRequest, key: keys.request(key))
        command.append(digest)
        command.append(node.description)
        command.append(Self.requestLifetime)
        let reply = try await send(command)
        if let number = reply.number { return number == 1 ? .begun : .conflict }
        let fields = reply.elements ?? []
        if fields.count == 2, let answer = fields[1].bytes { return .answered(answer) }
        guard fields.count == 1, let owner = fields[0].text.flatMap({ ULID($0) }) else { return .conflict }
        return owner == node ? .begun : .pending(node: owner)
    }

    package func endRequest(_ key: [UInt8], digest: [UInt8], answer: [UInt8]?) async throws(StoreError) {
        guard let answer else {
            var command = RedisCommand("DEL")
            command.append(key: keys.request(key))
            _ = try await send(command)
            return
        }
        var put = RedisCommand("HSET")
        put.append(key: keys.request(key))
        for (name, value) in [("d", digest), ("n", Array(node.description.utf8)), ("a", answer)] {
            put.append(name)
            put.append(value)
        }
        var expire = RedisCommand("PEXPIRE")
        expire.append(key: keys.request(key))
        expire.append(Self.requestLifetime)
        _ = try await send([put, expire])
    }

    /// How long an idempotency key is kept, in ms.
    private static let requestLifetime: Int64 = 86_400_000
}

/// The index of users' sessions.
extension RedisCommitter {
    /// Returns the commands that add a session to the index, or keep it there.
    func indexCommands(_ id: ULID, of user: String) -> [RedisCommand] {
        var add = RedisCommand("SADD")
        add.append(key: keys.sessions(of: user))
        add.append(id.description)
        var expire = RedisCommand("PEXPIRE")
        expire.append(key: keys.sessions(of: user))
        expire.append(settings.sessionMilliseconds)
        return [add, expire]
    }

    func unindexCommand(_ ids: [ULID], of user: String) -> RedisCommand {
        var command = RedisCommand("SREM")
        command.append(key: keys.sessions(of: user))
        for id in ids { command.append(id.description) }
        return command
    }

    /// Removes sessions that aren't stored from the index, except those that this node is about to store.
    func unindex(_ ids: [ULID], of user: String) {
        let stale = ids.filter { owned[$0] == nil }
        if !stale.isEmpty { client.send(unindexCommand(stale, of: user)) { _ in } }
    }
}

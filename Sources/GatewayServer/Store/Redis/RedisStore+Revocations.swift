// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayRedis

/// Revocations and the key that signs minted tokens, shared by all nodes.
extension RedisStore {
    /// How long before the last revocation known another one may have been stored, in ms: after a failover, the server's clock is another one.
    private static let clockTolerance: Int64 = 60_000

    package func revocations(since time: Int64?) async throws(StoreError) -> (entries: [Revocations.Entry], time: Int64) {
        guard let time else {
            var last = RedisCommand("ZREVRANGE")
            last.append(key: keys.revocationTimes)
            last.append(0)
            last.append(0)
            last.append("WITHSCORES" as StaticString)
            let newest = Self.scores(try await send(last)).first?.score ?? 0
            return (try await Self.revocations(client, keys: keys, name: settings.name), newest)
        }
        var list = RedisCommand("ZRANGEBYSCORE")
        list.append(key: keys.revocationTimes)
        list.append(max(0, time - Self.clockTolerance))
        list.append("+inf" as StaticString)
        list.append("WITHSCORES" as StaticString)
        let changed = Self.scores(try await send(list))
        let replies = try await send(changed.map { Self.revocationQuery(keys, $0.user) })
        let entries = zip(changed, replies).compactMap { Self.revocation(of: $0.user, $1) }
        return (entries, changed.reduce(time) { max($0, $1.score) })
    }

    private static func scores(_ reply: RedisReply) -> [(user: String, score: Int64)] {
        let elements = reply.elements ?? []
        return stride(from: 0, to: elements.count - 1, by: 2).compactMap { index in
            guard let user = elements[index].text, let score = elements[index + 1].text.flatMap({ Int64($0) }) else { return nil }
            return (user, score)
        }
    }

    package func mintingKey(proposing keyID: String, pem: String) async throws(StoreError) -> (keyID: String, pem: String) {
        var command = RedisCommand(evaluating: StoreScripts.keepKey, key: keys.mintingKey)
        command.append(keyID)
        command.append(pem)
        let stored = (try await send(command).elements ?? []).compactMap(\.text)
        guard stored.count == 2 else {
            throw StoreError(
                path: settings.name, problem: "the key that signs minted tokens can't be read; delete \(settings.prefix){mintkey}")
        }
        return (stored[0], stored[1])
    }

    private static func revocationQuery(_ keys: RedisKeys, _ user: String) -> RedisCommand {
        var command = RedisCommand("HMGET")
        command.append(key: keys.revocation(user))
        command.append("b" as StaticString)
        command.append("u" as StaticString)
        return command
    }

    private static func revocation(of user: String, _ reply: RedisReply) -> Revocations.Entry? {
        let numbers = (reply.elements ?? []).compactMap(\.number)
        guard numbers.count == 2 else { return nil }
        return Revocations.Entry(user: user, before: numbers[0], until: numbers[1])
    }

    /// Loads the revocations that haven't ended.
    static func revocations(_ client: RedisClient, keys: RedisKeys, name: String) async throws(StoreError) -> [Revocations.Entry] {
        let now = WallTime.now().unixMilliseconds
        do throws(RedisFailure) {
            var expired = RedisCommand("ZREMRANGEBYSCORE")
            expired.append(key: keys.revocations)
            expired.append("-inf" as StaticString)
            expired.append(now)
            // A full or read-only server can still be read.
            _ = try? await client.send(expired)
            var list = RedisCommand("ZRANGEBYSCORE")
            list.append(key: keys.revocations)
            list.append(now)
            list.append("+inf" as StaticString)
            let users = (try await client.send(list).elements ?? []).compactMap(\.text)
            var entries: [Revocations.Entry] = []
            for start in stride(from: 0, to: users.count, by: 1000) {
                let page = users[start..<min(start + 1000, users.count)]
                let result = await client.sendBatch(page.map { revocationQuery(keys, $0) })
                if let failure = result.failure { throw failure }
                for (user, reply) in zip(page, result.results) {
                    if let entry = revocation(of: user, try reply.get()) { entries.append(entry) }
                }
            }
            return entries
        } catch {
            let problem = RedisProblem(error)
            throw StoreError(path: name, problem: problem.text, isTemporary: problem.isTemporary)
        }
    }
}

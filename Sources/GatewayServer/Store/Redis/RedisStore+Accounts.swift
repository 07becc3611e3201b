// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayRedis
import NIOCore

/// Usage, uses of tokens, and revocations, shared by all nodes.
extension RedisStore: UsageSource {
    package func loadUsage(of user: String, wall: Int64, completion: @escaping @Sendable (PeriodUsage) -> Void) {
        let today = UTCDay(unixMilliseconds: wall)
        let days = (today.monthStart.number...today.number).compactMap { UTCDay(number: Int64($0)) }
        let (committer, keys) = (committer, keys)
        client.eventLoop.execute {
            // Queued behind the batches, so that the reply has exactly the usage that was charged before.
            let entry = CommitEntry(
                bytes: 0,
                committed: { entry in
                    var usage = PeriodUsage(today: today)
                    for (day, reply) in zip(days, entry.replies) { usage.add(UsageAddition.totals(reply), on: day) }
                    completion(usage)
                })
            entry.replies = days.map { _ in .null }
            entry.commands = days.enumerated().map { index, day in
                CommitEntry.Command(UsageAddition.query(keys, user: user, day: day), .query(index))
            }
            committer.value.enqueue(entry)
        }
    }

    /// Spends one use of a token, over all nodes.
    ///
    /// If this throws, the use may be spent.
    ///
    /// - Parameters:
    ///   - uses: how often the token can be used
    ///   - until: the time from which the token is invalid, in Unix milliseconds
    /// - Returns: the number of uses so far; nil when the token has no use left
    package func spend(_ tokenID: String, of uses: Int, until: Int64) async throws(StoreError) -> Int? {
        var command = RedisCommand(evaluating: StoreScripts.spendToken, key: keys.tokenUse(tokenID))
        command.append(uses)
        command.append(RedisCommitter.clamped(until))
        let spent = Int(clamping: try await send(command).number ?? 0)
        return spent == 0 ? nil : spent
    }

    /// Returns the revocation of a user's tokens by any node; nil if there is none.
    package func revocation(of user: String) async throws(StoreError) -> Revocations.Entry? {
        Self.revocation(of: user, try await send(Self.revocationQuery(keys, user)))
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

/// Usage reports.
extension RedisStore: UsageArchive {
    private static let usersPerPage = 500

    package func sums(_ query: UsageQuery, after values: [String]?, limit: Int) async throws -> [UsageSum] {
        var groups: [[String]: UsageAmounts] = [:]
        for number in query.days.lowerBound.number..<query.days.upperBound.number {
            guard let day = UTCDay(number: Int64(number)) else { continue }
            var last: String?
            repeat {
                let users = try await users(on: day, after: last, only: query.user)
                let hashes = try await send(
                    users.map { user in
                        var command = RedisCommand("HGETALL")
                        command.append(key: keys.usage(user, day))
                        return command
                    })
                for (user, hash) in zip(users, hashes) {
                    for (row, amounts) in UsageAddition.rows(hash, user: user, day: day) {
                        groups[query.grouping.map { $0.value(of: row) }, default: .zero] += amounts
                    }
                }
                last = users.count < Self.usersPerPage ? nil : users.last
            } while last != nil
        }
        let sorted = groups.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        let rest = values.map { values in sorted.drop { !values.lexicographicallyPrecedes($0.key) } } ?? sorted[...]
        return rest.prefix(limit).map { UsageSum(values: $0.key, amounts: $0.value) }
    }

    private func users(on day: UTCDay, after last: String?, only user: String?) async throws(StoreError) -> [String] {
        if let user { return [user] }
        var command = RedisCommand("ZRANGEBYLEX")
        command.append(key: keys.users(day))
        command.append(last.map { "(" + $0 } ?? "-")
        command.append("+" as StaticString)
        command.append("LIMIT" as StaticString)
        command.append(0)
        command.append(Self.usersPerPage)
        return (try await send(command).elements ?? []).compactMap(\.text)
    }
}

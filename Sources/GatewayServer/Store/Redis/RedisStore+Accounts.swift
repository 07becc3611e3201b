// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayRedis
import NIOCore

/// Usage and uses of tokens, shared by all nodes.
extension RedisStore: UsageSource {
    package func setUsageHandler(
        _ handler: @escaping @Sendable (_ user: String, _ day: UTCDay, _ total: UsageAmounts, _ own: UsageAmounts) -> Void
    ) {
        let committer = committer
        client.eventLoop.execute { committer.value.onUsage = handler }
    }

    package func queryUsage(of user: String, on day: UTCDay) {
        let (committer, keys) = (committer, keys)
        client.eventLoop.execute {
            guard !committer.value.isClosed else { return }
            let entry = CommitEntry(
                bytes: 0,
                committed: { [onUsage = committer.value.onUsage] entry in
                    for reply in entry.replies where reply.elements != nil { onUsage(user, day, UsageAddition.totals(reply), .zero) }
                })
            entry.replies = [.null]
            entry.commands = [CommitEntry.Command(UsageAddition.query(keys, user: user, day: day), .query(0))]
            committer.value.enqueue(entry)
        }
    }

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

    package func spend(_ tokenID: String, of uses: Int, until: Int64) async throws(StoreError) -> Int? {
        var command = RedisCommand(evaluating: StoreScripts.spendToken, key: keys.tokenUse(tokenID))
        command.append(uses)
        command.append(RedisCommitter.clamped(until))
        let spent = Int(clamping: try await send(command).number ?? 0)
        return spent == 0 ? nil : spent
    }

    package func refund(_ tokenID: String) {
        enqueue(RedisCommand(evaluating: StoreScripts.refundToken, key: keys.tokenUse(tokenID)))
    }

    /// Sends a command behind the batches, and again after an outage.
    func enqueue(_ command: RedisCommand) {
        let committer = committer
        client.eventLoop.execute {
            guard !committer.value.isClosed else { return }
            let entry = CommitEntry(bytes: 0, committed: { _ in })
            entry.commands = [CommitEntry.Command(command)]
            committer.value.enqueue(entry)
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

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayRedis

/// The commands of batches.
extension RedisCommitter {
    /// Adds a batch to the queue.
    func submit(_ batch: StoreBatch, bytes: Int, committed: @escaping @Sendable () -> Void, failed: (@Sendable () -> Void)?) {
        let entry = CommitEntry(bytes: bytes, committed: { _ in committed() }, failed: failed)
        var endedTokens: [ULID: [TokenHash]] = [:]
        for (id, range) in batch.endedSessions { endedTokens[id, default: []] += batch.endedTokens[range] }
        for changes in SessionChanges.all(of: batch) {
            plan(changes, bytes: batch.bytes, endedTokens: endedTokens[changes.id] ?? [], into: entry)
        }
        if !batch.usage.isEmpty { plan(batch.usage, into: entry) }
        for change in batch.accountChanges { plan(change, into: entry) }
        enqueue(entry)
    }

    private func plan(_ changes: SessionChanges, bytes: [UInt8], endedTokens: [TokenHash], into entry: CommitEntry) {
        let id = changes.id
        guard !owned.isDropped(id), owned[id]?.phase != .ending else { return }
        if changes.isEnded {
            // A session that was never stored has nothing to delete.
            guard let session = owned[id] else { return }
            owned.update(id) { $0.phase = .ending }
            let tokens = endedTokens.isEmpty ? session.tokens : endedTokens
            entry.commands.append(
                CommitEntry.Command(endCommand(id, epoch: session.epoch), .end(id, epoch: session.epoch, tokens: tokens)))
            if let user = session.user { entry.commands.append(CommitEntry.Command(unindexCommand([id], of: user))) }
            return
        }
        if owned[id] == nil {
            // Only a put creates a session.
            guard changes.commits.contains(where: { !$0.puts.isEmpty }) else { return }
            owned.insert(id, OwnedSession(epoch: 1), now: LoopClock.monotonicNanoseconds())
        }
        if let tokens = changes.tokens {
            owned.update(id) { $0.tokens = tokens }
            for token in tokens { entry.commands.append(CommitEntry.Command(tokenCommand(token, of: id))) }
        }
        let key = keys.session(id)
        for (index, commit) in changes.commits.enumerated() where !commit.isEmpty || (index == 0 && changes.tokens != nil) {
            owned.update(id) { session in
                session.serial += 1
                for put in commit.puts { session.kinds.insert(put.kind) }
                let isFirst = session.serial == 1 && session.epoch == 1
                let command = RedisCommand(
                    commit, bytes: bytes, key: key, owner: owner, epoch: session.epoch, serial: session.serial,
                    lifetime: isFirst ? settings.sessionMilliseconds : 0, tokens: index == 0 ? changes.tokens : nil,
                    wideKinds: session.kinds)
                entry.commands.append(CommitEntry.Command(command, .commit(id, epoch: session.epoch, serial: session.serial)))
            }
        }
        // After the session: others remove sessions from the index that aren't stored.
        if let user = changes.user {
            owned.update(id) { $0.user = user }
            entry.commands += indexCommands(id, of: user).map { CommitEntry.Command($0) }
        }
    }

    private func tokenCommand(_ token: TokenHash, of id: ULID) -> RedisCommand {
        var command = RedisCommand("SET")
        command.append(key: keys.token(token))
        command.append(id.description)
        command.append("PX" as StaticString)
        command.append(settings.sessionMilliseconds)
        return command
    }

    // MARK: Usage and accounts

    private func plan(_ usage: [UsageRow: UsageAmounts], into entry: CommitEntry) {
        var users: [UsageRow: [(row: UsageRow, amounts: UsageAmounts)]] = [:]
        for (row, amounts) in usage {
            users[UsageRow(user: row.user, day: row.day, route: "", upstream: ""), default: []].append((row, amounts))
        }
        for (user, rows) in users {
            indexUser(user.user, on: user.day, into: entry)
            usageSerial += 1
            let addition = UsageAddition(user: user.user, day: user.day, rows: rows, serial: usageSerial)
            entry.commands.append(CommitEntry.Command(addition.command(keys, node: owner), .usage(addition)))
        }
    }

    /// Adds a user to the index of a day, unless this node did so before.
    private func indexUser(_ user: String, on day: UTCDay, into entry: CommitEntry) {
        if indexedDay != day || indexedUsers.count >= Self.maximumIndexedUsers {
            indexedUsers = []
            indexedDay = day
        }
        guard indexedUsers.insert(user).inserted else { return }
        var add = RedisCommand("ZADD")
        add.append(key: keys.users(day))
        add.append(0)
        add.append(user)
        var expire = RedisCommand("PEXPIRE")
        expire.append(key: keys.users(day))
        expire.append(UsageAddition.lifetime)
        entry.commands += [CommitEntry.Command(add), CommitEntry.Command(expire)]
    }

    private static let maximumIndexedUsers = 100_000

    private func plan(_ change: AccountChange, into entry: CommitEntry) {
        func add(_ command: RedisCommand) { entry.commands.append(CommitEntry.Command(command)) }
        switch change {
        case .useToken(let use):
            var command = RedisCommand(evaluating: StoreScripts.useToken, key: keys.tokenUse(use.tokenID))
            command.append(use.spent)
            command.append(Self.clamped(use.until))
            add(command)
        case .removeToken(let id):
            var command = RedisCommand("DEL")
            command.append(key: keys.tokenUse(id))
            add(command)
        case .revoke(let revocation):
            let until = Self.clamped(revocation.until)
            var command = RedisCommand(evaluating: StoreScripts.revoke, key: keys.revocation(revocation.user))
            command.append(Self.clamped(revocation.before))
            command.append(until)
            add(command)
            var index = RedisCommand("ZADD")
            index.append(key: keys.revocations)
            index.append("GT" as StaticString)
            index.append(until)
            index.append(revocation.user)
            add(index)
            var time = RedisCommand(evaluating: StoreScripts.recordRevocation, key: keys.revocationTimes)
            time.append(revocation.user)
            add(time)
        case .removeRevocation(let user):
            var command = RedisCommand("DEL")
            command.append(key: keys.revocation(user))
            add(command)
            var index = RedisCommand("ZREM")
            index.append(key: keys.revocations)
            index.append(user)
            add(index)
        }
    }

    /// Limits a time to the year 9999: Lua's numbers are exact up to 2⁵³, and Redis rejects larger times.
    static func clamped(_ time: Int64) -> Int64 { min(max(time, 0), 253_402_300_799_000) }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayRedis
import Logging
import Synchronization

/// The replies to the commands of batches.
extension RedisCommitter {
    enum Verdict {
        case done
        /// The command is sent again. The problem is nil when the cause is the failure of an earlier command.
        case retry(RedisProblem?)
    }

    /// The replies of ``StoreScripts/commit`` and others.
    enum FenceReply: Int64 {
        case applied = 0
        /// Another node owns the session, or this one in another epoch.
        case fenced = 1
        /// There is no such session.
        case gone = 2
        /// An earlier commit is missing.
        case gap = 3
    }

    /// Whether a command isn't necessary any more, because its session was lost, ended or handed over.
    func isObsolete(_ role: CommitEntry.Role) -> Bool {
        switch role {
        case .commit(let id, let epoch, _), .end(let id, let epoch, _), .handOver(let id, let epoch, _): owned[id]?.epoch != epoch
        case .plain, .usage, .report, .query: false
        }
    }

    func handle(_ result: Result<RedisReply, RedisFailure>, of entry: CommitEntry, at index: Int) -> Verdict {
        let role = entry.commands[index].role
        switch result {
        case .success(let reply): return handle(reply, role, of: entry)
        case .failure(.error(let error)):
            return handle(error.unwrapped, role, of: entry, at: index)
        case .failure(.interrupted(let reason)):
            entry.commands[index].isUncertain = true
            return .retry(RedisProblem(.interrupted(reason)))
        case .failure(let failure):
            renumber(entry, index)
            return .retry(RedisProblem(failure))
        }
    }

    private func handle(_ reply: RedisReply, _ role: CommitEntry.Role, of entry: CommitEntry) -> Verdict {
        switch role {
        case .plain: break
        case .query(let position): entry.replies[position] = reply
        case .report(let id): status.reports.withLock { $0[id] = nil }
        case .usage(let addition):
            guard reply.elements?.count == 6 else { break }
            onUsage(addition.user, addition.day, UsageAddition.totals(reply), addition.total)
        case .commit(let id, let epoch, let serial):
            guard let session = owned[id], session.epoch == epoch else { return .done }
            switch reply.fence {
            case .applied: owned.update(id) { $0.confirmed = max($0.confirmed, serial) }
            case .fenced: lose(id, .fenced)
            // If an earlier commit isn't acknowledged, that one has failed.
            case .gone where session.confirmed == serial - 1: lose(id, .gone)
            case .gap where session.confirmed == serial - 1: discard(id, epoch: epoch)
            case .gone, .gap: return .retry(nil)
            case nil: return .retry(RedisProblem(.other, "unexpected reply to a commit"))
            }
        case .end(let id, let epoch, let tokens):
            guard owned[id]?.epoch == epoch else { return .done }
            owned.remove(id)
            // A session of another node must keep its tokens.
            guard reply.fence == .applied else { break }
            for token in tokens { entry.commands.append(CommitEntry.Command(endedToken(token))) }
        case .handOver(let id, let epoch, let serial):
            guard let session = owned[id], session.epoch == epoch else { return .done }
            switch reply.fence {
            case .applied:
                entry.newEpoch = epoch + 1
                owned.drop(id, now: LoopClock.monotonicNanoseconds())
            case .fenced: lose(id, .fenced)
            case .gone where session.confirmed == serial: lose(id, .gone)
            case .gap where session.confirmed == serial: discard(id, epoch: epoch)
            case .gone, .gap: return .retry(nil)
            case nil: return .retry(RedisProblem(.other, "unexpected reply to a hand-over"))
            }
        }
        return .done
    }

    private func handle(_ error: RedisError, _ role: CommitEntry.Role, of entry: CommitEntry, at index: Int) -> Verdict {
        switch (error.code, role) {
        case ("WRONGTYPE", .commit(let id, _, _)), ("WRONGTYPE", .end(let id, _, _)), ("WRONGTYPE", .handOver(let id, _, _)):
            reportForeignKey(keys.session(id))
            lose(id, .gone)
            return .done
        case ("WRONGTYPE", .usage(let addition)):
            reportForeignKey(keys.usage(addition.user, addition.day))
            return .done
        case ("WRONGTYPE", .query(let position)):
            entry.replies[position] = .null
            return .done
        case ("WRONGTYPE", _):
            reportForeignKey(nil)
            return .done
        case ("OOM", .report(let id)):
            status.reports.withLock { $0[id] = nil }
            status.lines.log(
                .warning, as: .storeFull, "the store is full: dropping reports of ended sessions", ["path": "\(status.name)"])
            return .done
        default:
            renumber(entry, index)
            return .retry(RedisProblem(error))
        }
    }

    /// Gives an addition to usage that wasn't executed a new serial number, because later additions may have been executed.
    private func renumber(_ entry: CommitEntry, _ index: Int) {
        guard case .usage(var addition) = entry.commands[index].role, !entry.commands[index].isUncertain else { return }
        usageSerial += 1
        addition.serial = usageSerial
        entry.commands[index].role = .usage(addition)
        entry.commands[index].request = addition.command(keys, node: owner)
    }

    /// Records that this node doesn't own a session any more.
    func lose(_ id: ULID, _ loss: SessionLoss) {
        guard owned[id] != nil else { return }
        owned.drop(id, now: LoopClock.monotonicNanoseconds())
        switch loss {
        case .fenced:
            status.lines.log(.warning, as: .storeFenced, "session dropped: another node owns it", ["session_id": "\(id)"])
        case .gone:
            status.lines.log(.error, as: .storeLost, "session dropped: the store lost it", ["session_id": "\(id)"])
        }
        onLoss(id, loss)
    }

    /// Loses a session of which the store lost acknowledged commits, and deletes the rest of it: a resume must not find an old state.
    private func discard(_ id: ULID, epoch: UInt64) {
        client.send(endCommand(id, epoch: epoch)) { _ in }
        lose(id, .gone)
    }

    private func reportForeignKey(_ key: [UInt8]?) {
        status.measured.withLock { $0.errors &+= 1 }
        status.lines.log(
            .error, as: .storeForeign, "a key of the store has another type; its changes are dropped",
            ["key": "\(key.map { String(decoding: $0, as: UTF8.self) } ?? "unknown")"])
    }

    private func endedToken(_ token: TokenHash) -> RedisCommand {
        var command = RedisCommand("SET")
        command.append(key: keys.token(token))
        command.append("-" as StaticString)
        command.append("PX" as StaticString)
        command.append(RedisStoreSettings.endedTokenLifetime)
        return command
    }

    func endCommand(_ id: ULID, epoch: UInt64) -> RedisCommand {
        var command = RedisCommand(evaluating: StoreScripts.end, key: keys.session(id))
        command.append(owner)
        command.append(epoch)
        return command
    }
}

extension RedisReply {
    fileprivate var fence: RedisCommitter.FenceReply? { number.flatMap(RedisCommitter.FenceReply.init) }
}

extension RedisError {
    /// The error of a command within a script. Redis 6 reports it as text of another error.
    var unwrapped: RedisError {
        guard code == "ERR" else { return self }
        for code in ["OOM", "READONLY", "MISCONF", "NOREPLICAS", "WRONGTYPE", "MASTERDOWN"] where text.contains("-\(code) ") {
            return RedisError(code: code, text: text)
        }
        return self
    }
}

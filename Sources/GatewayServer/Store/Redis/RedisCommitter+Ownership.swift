// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayRedis
import NIOCore

/// Claims and hand-overs.
extension RedisCommitter {
    /// How often a claim is sent again after its connection was lost.
    private static let maximumClaimAttempts = 3

    func claim(_ id: ULID, epoch: UInt64, promise: EventLoopPromise<ClaimResult>) {
        if let session = owned[id] { return promise.succeed(.owned(by: settings.node, epoch: session.epoch)) }
        if claims[id] != nil {
            claims[id]?.append(promise)
            return
        }
        claims[id] = [promise]
        sendClaim(id, epoch: epoch, attempt: 1)
    }

    private func sendClaim(_ id: ULID, epoch: UInt64, attempt: Int) {
        var command = RedisCommand(evaluating: StoreScripts.claim, key: keys.session(id))
        command.append(owner)
        command.append(epoch)
        command.append(epoch &+ 1)
        command.append(settings.sessionMilliseconds)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        client.send(command) { result in
            let committer = bound.value
            switch result {
            case .success(let reply): committer.claimed(id, epoch: epoch &+ 1, reply)
            // The script replies in the same way if it is executed twice.
            case .failure(.interrupted) where attempt < Self.maximumClaimAttempts:
                committer.sendClaim(id, epoch: epoch, attempt: attempt + 1)
            case .failure(let failure):
                let problem = RedisProblem(failure)
                let error = StoreError(path: committer.settings.name, problem: problem.text, isTemporary: problem.isTemporary)
                for promise in committer.claims.removeValue(forKey: id) ?? [] { promise.fail(error) }
            }
        }
    }

    private func claimed(_ id: ULID, epoch: UInt64, _ reply: RedisReply) {
        let promises = claims.removeValue(forKey: id) ?? []
        let result: ClaimResult
        if case .array(let elements) = reply {
            if elements.count == 2 {
                result = .owned(
                    by: elements[0].text.flatMap { ULID($0) } ?? ULID(high: 0, low: 0), epoch: elements[1].number.map(UInt64.init) ?? 0)
            } else {
                let session = StoredSession(id: id, fields: elements)
                var entry = OwnedSession(epoch: epoch, tokens: TokenHash.parse(field: reply.value(of: "t")?.bytes ?? []))
                for kind in session.records.keys { entry.kinds.insert(kind) }
                owned.insert(id, entry, now: LoopClock.monotonicNanoseconds())
                promises.first?.succeed(.claimed(session))
                for promise in promises.dropFirst() { promise.succeed(.owned(by: settings.node, epoch: epoch)) }
                return
            }
        } else {
            result = .gone
        }
        for promise in promises { promise.succeed(result) }
    }

    func handOver(_ id: ULID, to node: ULID, promise: EventLoopPromise<UInt64?>) {
        guard let session = owned[id], session.phase == .active else { return promise.succeed(nil) }
        owned.update(id) { $0.phase = .ending }
        var command = RedisCommand(evaluating: StoreScripts.handOver, key: keys.session(id))
        command.append(owner)
        command.append(session.epoch)
        command.append(node.description)
        command.append(session.epoch &+ 1)
        command.append(session.serial)
        command.append(settings.sessionMilliseconds)
        let error = StoreError(path: settings.name, problem: "the store was closed", isTemporary: true)
        let entry = CommitEntry(bytes: 0, committed: { promise.succeed($0.newEpoch) }, abandoned: { promise.fail(error) })
        entry.commands.append(CommitEntry.Command(command, .handOver(id, epoch: session.epoch, serial: session.serial)))
        enqueue(entry)
    }

    func adopt(_ id: ULID, epoch: UInt64) {
        var session = OwnedSession(epoch: epoch)
        session.kinds = .all
        owned.insert(id, session, now: LoopClock.monotonicNanoseconds())
        var command = RedisCommand("HGET")
        command.append(key: keys.session(id))
        command.append("t" as StaticString)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        client.send(command) { result in
            guard case .success(let reply) = result, let field = reply.bytes else { return }
            bound.value.owned.update(id) { session in
                // A later change of the tokens counts.
                if session.epoch == epoch, session.tokens.isEmpty { session.tokens = TokenHash.parse(field: field) }
            }
        }
    }
}

extension RecordKinds {
    static let all = RecordKind.allCases.reduce(into: RecordKinds()) { $0.insert($1) }
}

extension StoredSession {
    /// Creates a session from all fields of its hash.
    init(id: ULID, fields: [RedisReply]) {
        self.init(id: id)
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            guard let name = fields[index].bytes, let (kind, number) = RecordField.parse(name), let bytes = fields[index + 1].bytes else {
                continue
            }
            records[kind, default: []].append(Record(number: number, bytes: bytes))
        }
        for kind in records.keys { records[kind]?.sort { $0.number < $1.number } }
    }
}

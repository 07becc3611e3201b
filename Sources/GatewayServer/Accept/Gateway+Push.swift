// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import NIOCore

/// Pushes into the sessions of all event loops, and the commands of operators who supervise them.
extension Gateway: LocalPushTargets {
    package var undelivered: UndeliveredPushes { shared.undelivered }

    package func push(_ push: Push, to session: ULID) async -> PushResult? {
        let result = await self.push(push, into: [session], result: PushResult())
        return result.missing.isEmpty ? result : nil
    }

    package func push(_ push: Push, into sessions: [ULID]) async -> PushResult {
        await self.push(push, into: sessions, result: PushResult())
    }

    package func sessions(ofUser user: String) async -> [ULID] { await snapshotLoops { $0.sessions.ids(ofUser: user) }.flatMap(\.self) }

    package func push(_ push: Push, toUser user: String, startedAfter start: ULID?) async -> PushResult {
        let ids = await snapshotLoops { $0.sessions.ids(ofUser: user) }.map { ids in ids.filter { id in start.map { $0 < id } ?? true } }
        return await pushFurther(push, await self.push(push, into: ids))
    }

    package func pushToAll(_ push: Push) async -> PushResult {
        // All ids first: a session that is transferred to another loop meanwhile is in one list only.
        let ids = await snapshotLoops { $0.sessions.ids(ofUser: nil) }
        return await pushFurther(push, await self.push(push, into: ids))
    }

    /// Pushes into the sessions that were transferred between two loops, wherever they are now. Those that have ended don't count.
    private func pushFurther(_ push: Push, _ result: PushResult) async -> PushResult {
        guard !result.missing.isEmpty else { return result }
        var known = result
        known.missing = []
        var final = await self.push(push, into: result.missing, result: known)
        final.missing = []
        return final
    }

    /// Pushes into sessions by their ids, and follows those that are being transferred to another loop.
    private func push(_ push: Push, into sessions: [ULID], result: PushResult) async -> PushResult {
        var (left, result) = (sessions, result)
        for _ in 0..<Self.maximumLookups where !left.isEmpty {
            var byLoop = Array(repeating: [ULID](), count: loopCount)
            var ended: [ULID] = []
            for id in left {
                if let position = position(of: id) { byLoop[position].append(id) } else { ended.append(id) }
            }
            let found = await self.push(push, into: byLoop)
            left = found.missing
            result.deliveries += found.deliveries
            result.failures += found.failures
            result.missing += ended
        }
        result.missing += left
        return result
    }

    /// Pushes into the sessions of each loop, on all loops at once.
    ///
    /// - Parameter sessions: the ids by the position of their loop
    private func push(_ push: Push, into sessions: [[ULID]]) async -> PushResult {
        let futures = zip(boundShards, sessions).filter { !$1.isEmpty }.map { bound, ids in
            bound.eventLoop.flatSubmit { PushRun.start(push, into: ids, of: bound.value.sessions) }
        }
        var result = PushResult()
        for future in futures { if let part = try? await future.get() { result.add(part) } }
        return result
    }

    package func supervise(
        _ session: ULID, _ command: SupervisionCommand, by name: String
    ) async -> Result<SupervisionReport, SupervisionFault>? {
        await find(session) { $0[session]?.perform(command, by: name) }
    }

    package func hasEnded(_ session: ULID) async -> Bool { (try? await shared.archive.hasReport(of: session)) ?? false }
}

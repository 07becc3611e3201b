// SPDX-License-Identifier: Apache-2.0

import Foundation
package import GatewayCore
import GatewayRedis
import Logging
import NIOCore
import Synchronization

/// Reports of ended sessions and annotations of sessions. The server removes them when they expire.
extension RedisStore: ReportArchive {
    /// How long the annotation of a session without a report is kept, in ms.
    private static let annotationLifetime: Int64 = 400 * 86_400_000
    private static let maximumAttempts = 8

    package func keep(_ report: SessionReport) {
        let bytes = report.footprint
        status.waitingBytes.add(bytes, ordering: .relaxed)
        status.reports.withLock { $0[report.id] = report }
        let lifetime = reportLifetime.load(ordering: .relaxed)
        let (id, committer, keys) = (report.id, committer, keys)
        client.eventLoop.execute {
            let entry = CommitEntry(bytes: bytes, committed: { _ in })
            var put = RedisCommand("HSET")
            put.append(key: keys.report(id))
            for (name, value) in [("h", report.head()), ("b", report.body()), ("e", Array("\(report.endedAt ?? 0)".utf8))] {
                put.append(name)
                put.append(value)
            }
            var index = RedisCommand("ZADD")
            index.append(key: keys.reports)
            index.append(0)
            index.append(id.description)
            entry.commands.append(CommitEntry.Command(put, .report(id)))
            for key in [keys.report(id), keys.annotation(id)] {
                var expire = RedisCommand("PEXPIRE")
                expire.append(key: key)
                expire.append(lifetime)
                entry.commands.append(CommitEntry.Command(expire, .report(id)))
            }
            entry.commands.append(CommitEntry.Command(index, .report(id)))
            committer.value.enqueue(entry)
        }
    }

    package func report(of id: ULID) async throws -> SessionReport? {
        if let waiting = status.reports.withLock({ $0[id] }) { return waiting }
        let parts = try await send(reportQuery(id, "h", "b")).elements ?? []
        guard parts.count == 2, let head = parts[0].bytes, let body = parts[1].bytes else { return nil }
        return try SessionReport(head: head, body: body)
    }

    package func hasReport(of id: ULID) async throws -> Bool {
        if status.reports.withLock({ $0[id] != nil }) { return true }
        return try await exists(keys.report(id))
    }

    package func reports(after cursor: ULID?, limit: Int) async throws -> [SessionReport] {
        var found: [SessionReport] = []
        var last = cursor
        while found.count < limit {
            let ids = try await indexedReports(after: last, limit: limit - found.count)
            guard let end = ids.last else { break }
            last = end
            let heads = try await send(ids.map { reportQuery($0, "h") })
            var expired: [ULID] = []
            for (id, head) in zip(ids, heads) {
                if let bytes = head.elements?.first?.bytes {
                    // An unreadable report is listed as well, so that it can be erased and the pages stay complete.
                    found.append((try? SessionReport(head: bytes)) ?? SessionReport(id: id, startedAt: 0, lastMessageAt: 0))
                } else {
                    expired.append(id)
                }
            }
            try await removeFromIndex(expired)
        }
        return found
    }

    package func annotations(of ids: [ULID]) async throws -> [ULID: SessionAnnotation] {
        let values = try await send(ids.map { annotationQuery($0) })
        var found: [ULID: SessionAnnotation] = [:]
        for (id, value) in zip(ids, values) {
            guard let json = value.bytes else { continue }
            found[id] = try? JSONDecoder().decode(SessionAnnotation.self, from: Data(json))
        }
        return found
    }

    package func annotate(_ id: ULID, _ patch: SessionAnnotationPatch) async throws -> Bool {
        let hasReport = try await exists(keys.report(id))
        if !hasReport, try await !exists(keys.session(id)) { return false }
        for _ in 0..<Self.maximumAttempts {
            let before = try await send(annotationQuery(id)).bytes ?? []
            let known = try? JSONDecoder().decode(SessionAnnotation.self, from: Data(before))
            let annotation = patch.applied(to: known ?? SessionAnnotation())
            var command = RedisCommand(evaluating: StoreScripts.replace, key: keys.annotation(id))
            command.append(before)
            command.append(annotation.isEmpty ? [] : Array(try JSONEncoder().encode(annotation)))
            command.append(hasReport ? reportLifetime.load(ordering: .relaxed) : Self.annotationLifetime)
            if try await send(command).number == 1 { return true }
            // Another operator changed the annotation meanwhile.
        }
        throw StoreError(path: settings.name, problem: "the annotation is changed by others at the same time; retry", isTemporary: true)
    }

    package func erase(_ id: ULID) async throws -> Bool {
        let removed = try await send(
            [keys.annotation(id), keys.report(id)].map { key in
                var command = RedisCommand("DEL")
                command.append(key: key)
                return command
            })
        try await removeFromIndex([id])
        return removed.contains { $0.number ?? 0 > 0 }
    }

    /// Removes reports that ended before a time, and sets the lifetime of new reports accordingly.
    package func sweep(endedBefore limit: Int64) {
        reportLifetime.store(max(1, WallTime.now().unixMilliseconds - limit), ordering: .relaxed)
        let task = Task { [self] in
            do {
                try await removeReports(endedBefore: limit)
            } catch {
                // The next sweep retries; a persistent problem is reported by the next commit.
                status.logger.warning("expired reports can't be deleted", metadata: ["error": "\(error)"])
            }
        }
        reportSweep.withLock { $0 = task }
    }

    /// Number of reports that a sweep examines at once.
    private static let sweepBatchSize = 200

    /// Removes expired reports from the beginning of the index, which is in the order of the sessions' starts.
    func removeReports(endedBefore limit: Int64) async throws {
        var last: ULID?
        while true {
            let ids = try await indexedReports(after: last, limit: Self.sweepBatchSize)
            guard let end = ids.last else { return }
            last = end
            let ends = try await send(ids.map { reportQuery($0, "e") })
            let expired = zip(ids, ends).filter { _, reply in (reply.elements?.first?.number).map { $0 < limit } ?? true }.map(\.0)
            _ = try await send(
                expired.flatMap { id in
                    [keys.report(id), keys.annotation(id)].map { key in
                        var command = RedisCommand("DEL")
                        command.append(key: key)
                        return command
                    }
                })
            try await removeFromIndex(expired)
            // Sessions that started later have mostly ended later.
            guard !expired.isEmpty else { return }
        }
    }

    private func indexedReports(after cursor: ULID?, limit: Int) async throws(StoreError) -> [ULID] {
        var command = RedisCommand("ZRANGEBYLEX")
        command.append(key: keys.reports)
        command.append(cursor.map { "(\($0)" } ?? "-")
        command.append("+" as StaticString)
        command.append("LIMIT" as StaticString)
        command.append(0)
        command.append(limit)
        return (try await send(command).elements ?? []).compactMap { $0.text.flatMap { ULID($0) } }
    }

    private func removeFromIndex(_ ids: [ULID]) async throws(StoreError) {
        guard !ids.isEmpty else { return }
        var command = RedisCommand("ZREM")
        command.append(key: keys.reports)
        for id in ids { command.append(id.description) }
        _ = try await send(command)
    }

    private func reportQuery(_ id: ULID, _ fields: StaticString...) -> RedisCommand {
        var command = RedisCommand("HMGET")
        command.append(key: keys.report(id))
        for field in fields { command.append(field) }
        return command
    }

    private func annotationQuery(_ id: ULID) -> RedisCommand {
        var command = RedisCommand("GET")
        command.append(key: keys.annotation(id))
        return command
    }

    private func exists(_ key: [UInt8]) async throws(StoreError) -> Bool {
        var command = RedisCommand("EXISTS")
        command.append(key: key)
        return try await send(command).number == 1
    }
}

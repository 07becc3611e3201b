// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
package import GatewayCore
import Glibc
import Logging
import NIOPosix
import Synchronization

/// Reports of ended sessions and annotations of sessions, in the same file as the sessions.
extension SQLiteStore: ReportArchive {
    package func report(of id: ULID) async throws -> SessionReport? {
        if let report = waitingReport(of: id) { return report }
        let row = try await read { database in
            try Row.fetchOne(database, sql: "SELECT head, body FROM report WHERE session = ?", arguments: [id.stored]).map { row in
                (head: row.data(at: 0), body: row.data(at: 1))
            }
        }
        return try row.map { row in try SessionReport(head: Array(row.head), body: Array(row.body)) }
    }

    package func hasReport(of id: ULID) async throws -> Bool {
        if waitingReport(of: id) != nil { return true }
        return try await read { database in
            try Bool.fetchOne(database, sql: "SELECT EXISTS (SELECT 1 FROM report WHERE session = ?)", arguments: [id.stored]) ?? false
        }
    }

    package func reports(after cursor: ULID?, limit: Int) async throws -> [SessionReport] {
        let rows = try await read { database in
            // SQLite reads the columns before `body` without loading it.
            try Row.fetchAll(
                database, sql: "SELECT session, head FROM report WHERE session > ? ORDER BY session LIMIT ?",
                arguments: [cursor?.stored ?? Data(), limit]
            ).map { row in (id: row.data(at: 0), head: row.data(at: 1)) }
        }
        return rows.compactMap { row in
            // An unreadable report is listed as well, so that it can be erased and the pages stay complete.
            (try? SessionReport(head: Array(row.head)))
                ?? ULID(stored: row.id).map { SessionReport(id: $0, startedAt: 0, lastMessageAt: 0) }
        }
    }

    package func annotations(of ids: [ULID]) async throws -> [ULID: SessionAnnotation] {
        guard !ids.isEmpty else { return [:] }
        let rows = try await read { database in
            try Row.fetchAll(
                database,
                sql: "SELECT session, json FROM annotation WHERE session IN (\(ids.map { _ in "?" }.joined(separator: ",")))",
                arguments: StatementArguments(ids.map(\.stored))
            ).map { row in (id: row.data(at: 0), json: row.data(at: 1)) }
        }
        var found: [ULID: SessionAnnotation] = [:]
        for row in rows {
            guard let id = ULID(stored: row.id) else { continue }
            found[id] = try? JSONDecoder().decode(SessionAnnotation.self, from: row.json)
        }
        return found
    }

    package func annotate(_ id: ULID, _ patch: SessionAnnotationPatch) async throws -> Bool {
        let made = WallTime.now().unixMilliseconds
        return try await change { database in
            // A concurrently erased session must not get an annotation.
            let exists = try Bool.fetchOne(
                database,
                sql:
                    "SELECT EXISTS (SELECT 1 FROM report WHERE session = ?) OR EXISTS (SELECT 1 FROM record WHERE session = ? AND kind = 0)",
                arguments: [id.stored, id.stored])
            guard exists == true else { return false }
            let json = try Data.fetchOne(database, sql: "SELECT json FROM annotation WHERE session = ?", arguments: [id.stored])
            let before = json.flatMap { try? JSONDecoder().decode(SessionAnnotation.self, from: $0) } ?? SessionAnnotation()
            let annotation = patch.applied(to: before)
            if annotation.isEmpty {
                try database.execute(sql: "DELETE FROM annotation WHERE session = ?", arguments: [id.stored])
            } else {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO annotation (session, json, made) VALUES (?, ?, ?)",
                    arguments: [id.stored, try JSONEncoder().encode(annotation), made])
            }
            return true
        }
    }

    package func erase(_ id: ULID) async throws -> Bool {
        try await change { database in
            try database.execute(sql: "DELETE FROM annotation WHERE session = ?", arguments: [id.stored])
            let hadNotes = database.changesCount > 0
            try database.execute(sql: "DELETE FROM report WHERE session = ?", arguments: [id.stored])
            return hadNotes || database.changesCount > 0
        }
    }

    package func sweep(endedBefore limit: Int64) {
        thread.submit { [self] _ in
            do {
                let removed = try database.write { database in
                    // In small batches, so that commits can run in between.
                    try database.execute(
                        sql: "DELETE FROM report WHERE rowid IN (SELECT rowid FROM report WHERE ended < ? LIMIT \(Self.sweepBatchSize))",
                        arguments: [limit])
                    return database.changesCount
                }
                guard removed < Self.sweepBatchSize else { return sweep(endedBefore: limit) }
                try database.write { try Self.sweepRest($0) }
            } catch {
                // The next sweep retries; a persistent problem is reported by the next commit.
                logger.warning("expired reports can't be deleted", metadata: ["error": "\(StoreError(error, path: path))"])
            }
        }
    }

    /// Number of expired reports that one transaction deletes.
    private static let sweepBatchSize = 200
    /// Age at which annotations without a session or report are deleted, in milliseconds. It takes much less time until the report of an
    /// ended session is written.
    private static let orphanedAnnotationAge: Int64 = 3_600_000

    /// Deletes annotations of unknown sessions and the oldest tokens beyond the limit.
    private static func sweepRest(_ database: Database) throws {
        try database.execute(
            sql: """
                DELETE FROM annotation WHERE made < ? AND session NOT IN (SELECT session FROM report)
                AND session NOT IN (SELECT session FROM record WHERE kind = \(RecordKind.state.rawValue))
                """, arguments: [WallTime.now().unixMilliseconds - orphanedAnnotationAge])
        try database.execute(sql: "DELETE FROM token WHERE rowid <= (SELECT max(rowid) FROM token) - \(StoreBatch.maxEndedTokens)")
    }

    private func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws(StoreError) -> Value {
        do { return try await database.read(body) } catch { throw StoreError(error, path: path) }
    }

    private func change<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws(StoreError) -> Value {
        do { return try await database.write(body) } catch { throw StoreError(error, path: path) }
    }

    /// Writes a report in the current transaction.
    static func put(_ report: SessionReport, to database: Database) throws {
        let put = try database.cachedStatement(
            sql: "INSERT OR REPLACE INTO report (session, ended, head, body, client, size) VALUES (?, ?, ?, ?, ?, ?)")
        let (head, body) = (Data(report.head()), Data(report.body()))
        try put.execute(
            arguments: [report.id.stored, report.endedAt ?? 0, head, body, Data(report.client.bytes), head.count + body.count])
    }

    /// Whether less than 1 MiB is free on the disk, so that commits may fail. Evicting reports wouldn't free disk space for long.
    var isDiskFull: Bool {
        var status = statvfs()
        guard statvfs(DirectoryAccess.directory(of: path), &status) == 0 else { return true }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize) < 1 << 20
    }

    /// Evicts the oldest reports of the client with the most report bytes, when the file has reached its maximum size.
    ///
    /// - Returns: false when there are no reports
    func evictReports() -> Bool {
        let removed = try? database.write { database in
            // Scans the whole index, but no reports. A full file is rare, and several reports are evicted at once.
            let clients = try Row.fetchAll(
                database, sql: "SELECT client, sum(size) AS held FROM report GROUP BY client ORDER BY held DESC LIMIT 2")
            guard let first = clients.first else { return 0 }
            let client: Data? = first[0]
            let others: Int = clients.count > 1 ? clients[1][1] : 0
            // Evicts down to the size of the second-largest client, but at least a few reports, since the file would soon be full again.
            var surplus = max(1, (first[1] as Int) - others)
            let oldest = try Row.fetchAll(
                database, sql: "SELECT rowid, size FROM report WHERE client IS ? ORDER BY ended LIMIT \(Self.maxEvictedReports)",
                arguments: [client])
            var removed = 0
            for row in oldest where surplus > 0 || removed < Self.minEvictedReports {
                try database.execute(sql: "DELETE FROM report WHERE rowid = ?", arguments: [row[0] as Int64])
                surplus -= row[1] as Int
                removed += 1
            }
            return removed
        }
        return removed ?? 0 > 0
    }

    private static let maxEvictedReports = 64
    private static let minEvictedReports = 8
}

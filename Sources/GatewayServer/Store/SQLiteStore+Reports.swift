import Foundation
import GRDB
package import GatewayCore
import Glibc
import Logging
import NIOPosix
import Synchronization

/// Reports of ended sessions, and notes about sessions, in the same file as the sessions.
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
            // What stands before `body` in a row is read without it.
            try Row.fetchAll(
                database, sql: "SELECT session, head FROM report WHERE session > ? ORDER BY session LIMIT ?",
                arguments: [cursor?.stored ?? Data(), limit]
            ).map { row in (id: row.data(at: 0), head: row.data(at: 1)) }
        }
        return rows.compactMap { row in
            // One that can't be read has its place all the same, so that it can be erased, and the list goes on behind it.
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
            // Not of a session that is erased at the same time.
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
                    // A few at a time: commits come between.
                    try database.execute(
                        sql: "DELETE FROM report WHERE rowid IN (SELECT rowid FROM report WHERE ended < ? LIMIT \(Self.sweptReports))",
                        arguments: [limit])
                    return database.changesCount
                }
                guard removed < Self.sweptReports else { return sweep(endedBefore: limit) }
                try database.write { try Self.sweepRest($0) }
            } catch {
                // The next commit tells what is wrong; this is tried again at the next sweep.
                logger.warning("old reports can't be removed", metadata: ["error": "\(StoreError(error, path: path))"])
            }
        }
    }

    private static let sweptReports = 200
    /// A session that has ended has its report soon, in milliseconds.
    private static let notesWithoutReport: Int64 = 3_600_000

    /// Notes go with what they are about, and the oldest tokens with none of their own.
    private static func sweepRest(_ database: Database) throws {
        try database.execute(
            sql: """
                DELETE FROM annotation WHERE made < ? AND session NOT IN (SELECT session FROM report)
                AND session NOT IN (SELECT session FROM record WHERE kind = \(RecordKind.state.rawValue))
                """, arguments: [WallTime.now().unixMilliseconds - notesWithoutReport])
        try database.execute(sql: "DELETE FROM token WHERE rowid <= (SELECT max(rowid) FROM token) - \(StoreBatch.mostEndedTokens)")
    }

    private func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws(StoreError) -> Value {
        do { return try await database.read(body) } catch { throw StoreError(error, path: path) }
    }

    private func change<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws(StoreError) -> Value {
        do { return try await database.write(body) } catch { throw StoreError(error, path: path) }
    }

    /// Writes a report, in the transaction of a commit.
    static func put(_ report: SessionReport, to database: Database) throws {
        let put = try database.cachedStatement(
            sql: "INSERT OR REPLACE INTO report (session, ended, head, body, client, size) VALUES (?, ?, ?, ?, ?, ?)")
        let (head, body) = (Data(report.head()), Data(report.body()))
        try put.execute(
            arguments: [report.id.stored, report.endedAt ?? 0, head, body, Data(report.client.bytes), head.count + body.count])
    }

    /// Less is free on the disk than a log of commits may need. Giving up reports wouldn't help those who fill the disk.
    var isDiskFull: Bool {
        var status = statvfs()
        guard statvfs(FolderAccess.folder(of: path), &status) == 0 else { return true }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize) < 1 << 20
    }

    /// The file is as large as it may be: the oldest reports of the client that has most give way to those who talk. False when there are
    /// none.
    func giveUpReports() -> Bool {
        let removed = try? database.write { database in
            // Answered by the index alone. A file is full seldom, and then some reports go at once.
            let clients = try Row.fetchAll(
                database, sql: "SELECT client, sum(size) AS held FROM report GROUP BY client ORDER BY held DESC LIMIT 2")
            guard let first = clients.first else { return 0 }
            let client: Data? = first[0]
            let others: Int = clients.count > 1 ? clients[1][1] : 0
            // Down to what the next one has, but a few at least: a full file is full again soon.
            var surplus = max(1, (first[1] as Int) - others)
            let oldest = try Row.fetchAll(
                database, sql: "SELECT rowid, size FROM report WHERE client IS ? ORDER BY ended LIMIT \(Self.givenUpReports)",
                arguments: [client])
            var removed = 0
            for row in oldest where surplus > 0 || removed < Self.leastGivenUp {
                try database.execute(sql: "DELETE FROM report WHERE rowid = ?", arguments: [row[0] as Int64])
                surplus -= row[1] as Int
                removed += 1
            }
            return removed
        }
        return removed ?? 0 > 0
    }

    private static let givenUpReports = 64
    private static let leastGivenUp = 8
}

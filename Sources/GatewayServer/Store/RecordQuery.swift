// SPDX-License-Identifier: Apache-2.0

import GRDB
import GRDBSQLite
import GatewayCore

/// The query that loads all records at startup. Bypasses GRDB's rows, since there may be a million records.
struct RecordQuery {
    private let statement: Statement

    /// - Parameter statement: a query with four columns: session, kind, number, bytes, ordered by the first three
    init(_ statement: Statement) { self.statement = statement }

    func sessions() throws -> [StoredSession] {
        var sessions: [StoredSession] = []
        let raw = statement.sqliteStatement
        defer { sqlite3_reset(raw) }
        while true {
            let result = sqlite3_step(raw)
            if result == SQLITE_DONE { return sessions }
            guard result == SQLITE_ROW else { throw DatabaseError(resultCode: ResultCode(rawValue: result)) }
            // SQLite columns can contain values of any type, whatever their declaration.
            guard let id = Self.blob(raw, 0).flatMap({ ULID(stored: $0) }),
                let kind = Self.integer(raw, 1).flatMap({ UInt8(exactly: $0) }).flatMap({ RecordKind(rawValue: $0) }),
                let number = Self.integer(raw, 2), let bytes = Self.blob(raw, 3)
            else { continue }
            if sessions.last?.id != id { sessions.append(StoredSession(id: id)) }
            sessions[sessions.count - 1].records[kind, default: []].append(.init(number: UInt64(bitPattern: number), bytes: bytes))
        }
    }

    private static func integer(_ raw: SQLiteStatement, _ column: Int32) -> Int64? {
        sqlite3_column_type(raw, column) == SQLITE_INTEGER ? sqlite3_column_int64(raw, column) : nil
    }

    private static func blob(_ raw: SQLiteStatement, _ column: Int32) -> [UInt8]? {
        guard sqlite3_column_type(raw, column) == SQLITE_BLOB else { return nil }
        // The pointer is valid until the next step; it is nil for an empty blob.
        guard let start = sqlite3_column_blob(raw, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(raw, column))))
    }
}

// SPDX-License-Identifier: Apache-2.0

import GRDB
import GRDBSQLite
import GatewayCore

/// The statement that stores a record, the most frequent one. Binds its values directly, since creating GRDB's arguments would take longer
/// than the insert.
struct PutStatement {
    private let statement: Statement

    /// - Parameter statement: a statement with four parameters: session, kind, number, bytes
    init(_ statement: Statement) { self.statement = statement }

    func execute(_ session: ULID, _ kind: RecordKind, _ number: UInt64, _ bytes: ArraySlice<UInt8>) throws {
        let raw = statement.sqliteStatement
        let result = withUnsafeBytes(of: (session.high.bigEndian, session.low.bigEndian)) { id in
            bytes.withUnsafeBytes { bytes in
                // Bound without copies (`nil` is SQLITE_STATIC): the memory outlives `sqlite3_step`, and the bindings are cleared
                // afterwards.
                sqlite3_reset(raw)
                sqlite3_bind_blob(raw, 1, id.baseAddress, Int32(id.count), nil)
                sqlite3_bind_int64(raw, 2, Int64(kind.rawValue))
                sqlite3_bind_int64(raw, 3, Int64(bitPattern: number))
                // A blob with a nil address would be NULL.
                if bytes.isEmpty {
                    sqlite3_bind_zeroblob(raw, 4, 0)
                } else {
                    sqlite3_bind_blob64(raw, 4, bytes.baseAddress, UInt64(bytes.count), nil)
                }
                defer {
                    sqlite3_reset(raw)
                    sqlite3_clear_bindings(raw)
                }
                return sqlite3_step(raw)
            }
        }
        guard result == SQLITE_DONE else { throw DatabaseError(resultCode: ResultCode(rawValue: result)) }
    }
}

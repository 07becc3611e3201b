import Foundation
import GRDB
import Glibc
import Logging

/// What happens to the file before it is used: made, looked at, brought up to date.
extension SQLiteStore {
    /// What SQLite says that it does, which is what counts.
    static func name(synchronous value: Int?) -> String {
        switch value {
        case 0: StoreSynchronous.off.rawValue
        case 1: StoreSynchronous.normal.rawValue
        case 2: StoreSynchronous.full.rawValue
        default: "unknown"
        }
    }

    /// "PRLY", in the header of the file: whose it is.
    static let applicationID = 0x5052_4C59

    /// Device and inode; nil when there is no such file.
    static func identity(of path: String) -> [Int]? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else { return nil }
        return [attributes[.systemNumber], attributes[.systemFileNumber]].compactMap { ($0 as? NSNumber)?.intValue }
    }

    /// The file is made with the rights that it shall have; its folder too, where it isn't there.
    static func prepareFile(_ path: String) throws(StoreError) {
        do {
            try FileManager.default.createDirectory(
                atPath: FolderAccess.folder(of: path), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            let code = (error as? CocoaError)?.code
            throw StoreError(
                path: path, problem: "its folder can't be made: \(error.localizedDescription)",
                isTemporary: code == .fileWriteOutOfSpace || code == .fileWriteVolumeReadOnly)
        }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreError(path: path, problem: "it can't be opened for writing", code: errno) }
        Glibc.close(descriptor)
    }

    /// Looks for what keeps the file from being opened, without making or opening it as a database: another gateway may have it open.
    static func examine(_ path: String) throws(StoreError) {
        guard let mode = FileMode(of: path) else {
            guard errno == ENOENT else { throw StoreError(path: path, problem: String(cString: strerror(errno))) }
            if let reason = FolderAccess.obstacle(toWritingIn: FolderAccess.folder(of: path)) {
                throw StoreError(path: path, problem: "it can't be made: \(reason)")
            }
            return
        }
        guard mode.isFile else { throw StoreError(path: path, problem: "it isn't a file") }
        guard access(path, R_OK | W_OK) == 0 else {
            throw StoreError(path: path, problem: "it can't be opened for writing: \(String(cString: strerror(errno)))")
        }
        // SQLite makes its log in the same folder.
        if let reason = FolderAccess.obstacle(toWritingIn: FolderAccess.folder(of: path)) {
            throw StoreError(path: path, problem: "its folder can't be written: \(reason)")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreError(path: path, problem: String(cString: strerror(errno))) }
        defer { Glibc.close(descriptor) }
        var header = [UInt8](repeating: 0, count: 100)
        let count = read(descriptor, &header, header.count)
        // An empty file is a new one.
        guard count != 0 else { return }
        guard count == header.count, header.starts(with: "SQLite format 3\0".utf8) else {
            throw StoreError(path: path, problem: "it is damaged or no SQLite file; put it aside and start anew, or restore a copy")
        }
        // "Application ID", https://sqlite.org/fileformat.html section 1.3. 0 is that of a file from before it was written.
        let owner = header[68..<72].reduce(0) { $0 << 8 | Int($1) }
        guard owner == applicationID || owner == 0 else {
            throw StoreError(path: path, problem: "it belongs to another program; choose another `store.path`")
        }
    }

    /// Warns of damage that SQLite passes over. The start goes on: what is lost is lost, and what is in the file is still good.
    static func warnOfDamage(_ path: String, logger: Logger) {
        do {
            guard let damage = try WriteAheadLog.damage(of: path) else { return }
            logger.warning(
                "the store is damaged: what was stored last is lost", metadata: ["path": "\(path)", "problem": "\(damage)"])
        } catch {
            logger.warning("the store's write-ahead log can't be read", metadata: ["path": "\(path)", "problem": "\(error)"])
        }
    }

    static func check(_ database: DatabaseQueue, path: String) throws {
        let (owner, tables) = try database.read { database in
            (
                try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0,
                try String.fetchSet(database, sql: "SELECT name FROM sqlite_master WHERE type = 'table'")
            )
        }
        // Files without an owner were made just now, or before owners were written into them.
        guard owner == applicationID || owner == 0 && tables.isSubset(of: ["record", "grdb_migrations"]) else {
            throw StoreError(path: path, problem: "it belongs to another program; choose another `store.path`")
        }
        guard try database.read({ try !migrator.hasBeenSuperseded($0) }) else {
            throw StoreError(path: path, problem: "a newer version has written it; start that one, or put the file aside")
        }
        let findings = try database.read { try String.fetchAll($0, sql: "PRAGMA integrity_check(3)") }
        guard findings == ["ok"] else {
            throw StoreError(
                path: path, problem: "it is damaged (\(findings.joined(separator: "; "))); put it aside and start anew, or restore a copy")
        }
    }

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("records") { database in
            try database.execute(
                sql: """
                    CREATE TABLE record (
                        session BLOB NOT NULL, kind INTEGER NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL,
                        PRIMARY KEY (session, kind, number)
                    ) WITHOUT ROWID
                    """)
        }
        migrator.registerMigration("reports") { database in
            try database.execute(
                sql: """
                    CREATE TABLE report (session BLOB NOT NULL UNIQUE, ended INTEGER NOT NULL, head BLOB NOT NULL, body BLOB NOT NULL);
                    CREATE INDEX report_ended ON report (ended);
                    CREATE TABLE annotation (session BLOB PRIMARY KEY, json BLOB NOT NULL, made INTEGER NOT NULL) WITHOUT ROWID;
                    CREATE TABLE token (hash BLOB NOT NULL)
                    """)
        }
        migrator.registerMigration("reports by client") { database in
            // Reports of earlier versions have no client, and count as those of one.
            try database.execute(
                sql: """
                    ALTER TABLE report ADD COLUMN client BLOB;
                    ALTER TABLE report ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
                    UPDATE report SET size = length(head) + length(body);
                    CREATE INDEX report_client ON report (client, ended, size)
                    """)
        }
        return migrator
    }
}

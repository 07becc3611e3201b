// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Glibc
import Logging

/// Opening the file: creation, checks, migrations.
extension SQLiteStore {
    /// Returns the name of the `synchronous` level that SQLite reports as effective.
    static func name(synchronous value: Int?) -> String {
        switch value {
        case 0: StoreSynchronous.off.rawValue
        case 1: StoreSynchronous.normal.rawValue
        case 2: StoreSynchronous.full.rawValue
        default: "unknown"
        }
    }

    /// SQLite's application id in the header of the file: "PRLY".
    static let applicationID = 0x5052_4C59

    /// Returns the device and inode of a file; nil when it doesn't exist.
    static func identity(of path: String) -> [Int]? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else { return nil }
        return [attributes[.systemNumber], attributes[.systemFileNumber]].compactMap { ($0 as? NSNumber)?.intValue }
    }

    private static let cacheKibibytes = 64 << 10
    /// Size of the write-ahead log at which a commit checkpoints it, in pages.
    private static let logPages = 2 << 10
    /// Size to which the `-wal` file is truncated after a checkpoint, in bytes.
    private static let logBytes = 16 << 20
    /// The value of `PRAGMA auto_vacuum` that stands for INCREMENTAL.
    private static let incrementalVacuum = 2

    /// The GRDB configuration of the connection.
    static var configuration: Configuration {
        var configuration = Configuration()
        // Waiting longer is pointless: another process that has the file open keeps its lock.
        configuration.busyMode = .timeout(1)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            // Not set unconditionally: that would write, and an existing file must open even on a full disk.
            if try Int.fetchOne(database, sql: "PRAGMA auto_vacuum") != Self.incrementalVacuum {
                try database.execute(sql: "PRAGMA auto_vacuum = \(Self.incrementalVacuum)")
            }
            try database.execute(sql: "PRAGMA secure_delete = ON")
            // Each session has its own pages, and those of active sessions are rewritten constantly. The large cache keeps them, and the
            // checkpoint interval makes checkpoints rare.
            try database.execute(sql: "PRAGMA cache_size = -\(Self.cacheKibibytes)")
            try database.execute(sql: "PRAGMA wal_autocheckpoint = \(Self.logPages)")
            try database.execute(sql: "PRAGMA journal_size_limit = \(Self.logBytes)")
            // Set here and not by GRDB, which would write to the file.
            guard try String.fetchOne(database, sql: "PRAGMA journal_mode = WAL") == "wal" else {
                throw DatabaseError(message: "the file system doesn't support write-ahead logging")
            }
        }
        return configuration
    }

    /// Creates the file with mode 0600 and its directory with mode 0700, unless they exist.
    static func prepareFile(_ path: String) throws(StoreError) {
        do {
            try FileManager.default.createDirectory(
                atPath: DirectoryAccess.directory(of: path), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            let code = (error as? CocoaError)?.code
            throw StoreError(
                path: path, problem: "can't create its directory: \(error.localizedDescription)",
                isTemporary: code == .fileWriteOutOfSpace || code == .fileWriteVolumeReadOnly)
        }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreError(path: path, problem: "can't open it for writing", code: errno) }
        Glibc.close(descriptor)
    }

    /// Checks whether the file can be opened, without creating it or opening it as a database: another gateway may have it open.
    static func examine(_ path: String) throws(StoreError) {
        guard let mode = FileMode(of: path) else {
            guard errno == ENOENT else { throw StoreError(path: path, problem: String(cString: strerror(errno))) }
            if let reason = DirectoryAccess.failureReason(writingIn: DirectoryAccess.directory(of: path)) {
                throw StoreError(path: path, problem: "can't create it: \(reason)")
            }
            return
        }
        guard mode.isFile else { throw StoreError(path: path, problem: "not a regular file") }
        guard access(path, R_OK | W_OK) == 0 else {
            throw StoreError(path: path, problem: "can't open it for writing: \(String(cString: strerror(errno)))")
        }
        // SQLite creates the `-wal` file in the same directory.
        if let reason = DirectoryAccess.failureReason(writingIn: DirectoryAccess.directory(of: path)) {
            throw StoreError(path: path, problem: "its directory isn't writable: \(reason)")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreError(path: path, problem: String(cString: strerror(errno))) }
        defer { Glibc.close(descriptor) }
        var header = [UInt8](repeating: 0, count: 100)
        let count = read(descriptor, &header, header.count)
        // SQLite treats an empty file as a new database.
        guard count != 0 else { return }
        guard count == header.count, header.starts(with: "SQLite format 3\0".utf8) else {
            throw StoreError(path: path, problem: "damaged or not an SQLite file; move it away to start empty, or restore a backup")
        }
        // "Application ID", https://sqlite.org/fileformat.html section 1.3. Files of the first versions have 0.
        let owner = header[68..<72].reduce(0) { $0 << 8 | Int($1) }
        guard owner == applicationID || owner == 0 else {
            throw StoreError(path: path, problem: "belongs to another program; set `store.path` to another file")
        }
    }

    /// Warns of damage that SQLite ignores silently. Startup continues with the intact part of the store.
    static func warnOfDamage(_ path: String, logger: Logger) {
        do {
            guard let damage = try WriteAheadLog.damage(of: path) else { return }
            logger.warning(
                "the store is damaged: the most recent commits are lost", metadata: ["path": "\(path)", "problem": "\(damage)"])
        } catch {
            logger.warning("the store's write-ahead log can't be read", metadata: ["path": "\(path)", "problem": "\(error)"])
        }
    }

    /// Checks that the database belongs to parley, isn't from a newer version, and is intact.
    static func check(_ database: DatabaseQueue, path: String) throws {
        let (owner, tables) = try database.read { database in
            (
                try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0,
                try String.fetchSet(database, sql: "SELECT name FROM sqlite_master WHERE type = 'table'")
            )
        }
        // Files without an application id are new, or from the first versions.
        guard owner == applicationID || owner == 0 && tables.isSubset(of: ["record", "grdb_migrations"]) else {
            throw StoreError(path: path, problem: "belongs to another program; set `store.path` to another file")
        }
        guard try database.read({ try !migrator.hasBeenSuperseded($0) }) else {
            throw StoreError(path: path, problem: "written by a newer version of parley; run that version, or move the file away")
        }
        let findings = try database.read { try String.fetchAll($0, sql: "PRAGMA integrity_check(3)") }
        guard findings == ["ok"] else {
            throw StoreError(
                path: path, problem: "damaged (\(findings.joined(separator: "; "))); move it away to start empty, or restore a backup")
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
            // Reports of earlier versions have no client and count as reports of a single client.
            try database.execute(
                sql: """
                    ALTER TABLE report ADD COLUMN client BLOB;
                    ALTER TABLE report ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
                    UPDATE report SET size = length(head) + length(body);
                    CREATE INDEX report_client ON report (client, ended, size)
                    """)
        }
        migrator.registerMigration("usage") { database in
            try database.execute(
                sql: """
                    CREATE TABLE usage (
                        day INTEGER NOT NULL, user TEXT NOT NULL, route TEXT NOT NULL, upstream TEXT NOT NULL,
                        messages INTEGER NOT NULL, audio_in INTEGER NOT NULL, audio_out INTEGER NOT NULL,
                        input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cost INTEGER NOT NULL,
                        PRIMARY KEY (day, user, route, upstream)
                    ) WITHOUT ROWID;
                    CREATE INDEX usage_user ON usage (user, day);
                    CREATE TABLE token_use (jti TEXT PRIMARY KEY, spent INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID;
                    CREATE TABLE revocation (user TEXT PRIMARY KEY, before INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID
                    """)
        }
        return migrator
    }
}

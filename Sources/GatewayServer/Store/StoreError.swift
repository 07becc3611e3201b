// SPDX-License-Identifier: Apache-2.0

import GRDB
import Glibc

/// A problem with the store and its remedy, for operators.
package struct StoreError: Error, CustomStringConvertible, Sendable {
    package let path: String
    package let problem: String
    /// Whether the disk is the cause (full, read-only or broken) and not the configuration, so that a later attempt may succeed.
    package let isTemporary: Bool

    init(path: String, problem: String, isTemporary: Bool = false) {
        self.path = path
        self.problem = problem
        self.isTemporary = isTemporary
    }

    /// - Parameter code: an `errno` value
    init(path: String, problem: String, code: Int32) {
        self.init(
            path: path, problem: "\(problem): \(String(cString: strerror(code)))",
            isTemporary: [ENOSPC, EDQUOT, EROFS, EIO, EMFILE, ENFILE].contains(code))
    }

    init(_ error: any Error, path: String) {
        if let error = error as? StoreError {
            self = error
            return
        }
        guard let error = error as? DatabaseError else {
            self.init(path: path, problem: "\(error)")
            return
        }
        switch error.resultCode {
        case .SQLITE_FULL:
            self.init(
                path: path, problem: "the disk is full or the file has reached `store.max_bytes`; free space or raise the limit",
                isTemporary: true)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self.init(path: path, problem: "another process has it open; each gateway needs a store of its own")
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM:
            self.init(
                path: path, problem: "the file or its directory isn't writable: \(error.message ?? "check the permissions")",
                isTemporary: Self.isOnUnwritableDisk(path))
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            self.init(path: path, problem: "damaged or not an SQLite file; move it away to start empty, or restore a backup")
        case .SQLITE_IOERR:
            self.init(
                path: path,
                problem: "the disk fails to read or write: \(error.message ?? "I/O error"); check the system log and the "
                    + "file's permissions", isTemporary: true)
        default: self.init(path: path, problem: error.message ?? "\(error.resultCode)")
        }
    }

    /// Whether the disk is full or read-only. When SQLite can't create a file, it doesn't distinguish this from missing permissions.
    private static func isOnUnwritableDisk(_ path: String) -> Bool {
        var status = statvfs()
        guard statvfs(DirectoryAccess.directory(of: path), &status) == 0 else { return false }
        return status.f_flag & UInt(ST_RDONLY) != 0 || status.f_bavail == 0 || status.f_files > 0 && status.f_favail == 0
    }

    package var description: String { "store \(path): \(problem)" }
}

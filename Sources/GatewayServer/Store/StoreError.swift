import GRDB
import Glibc

/// What is wrong with the store, for those who can mend it.
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

    /// - Parameter code: an error of the system
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
                path: path, problem: "the disk is full, or the file as large as `store.max_bytes` allows; make room, or raise the limit",
                isTemporary: true)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self.init(path: path, problem: "another process has it open; a store belongs to one gateway")
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM:
            self.init(
                path: path, problem: "it, or its folder, can't be written: \(error.message ?? "see its rights")",
                isTemporary: Self.isOnUnwritableDisk(path))
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            self.init(path: path, problem: "it is damaged or no SQLite file; put it aside and start anew, or restore a copy")
        case .SQLITE_IOERR:
            self.init(
                path: path,
                problem: "the disk refuses to read or write: \(error.message ?? "I/O error"); see the system's log, and whether the "
                    + "file may be written", isTemporary: true)
        default: self.init(path: path, problem: error.message ?? "\(error.resultCode)")
        }
    }

    /// SQLite doesn't tell a read-only or full disk from missing rights, where it makes a file.
    private static func isOnUnwritableDisk(_ path: String) -> Bool {
        var status = statvfs()
        guard statvfs(FolderAccess.folder(of: path), &status) == 0 else { return false }
        return status.f_flag & UInt(ST_RDONLY) != 0 || status.f_bavail == 0 || status.f_files > 0 && status.f_favail == 0
    }

    package var description: String { "store \(path): \(problem)" }
}

import GRDB

/// What is wrong with the store, for those who can mend it.
package struct StoreError: Error, CustomStringConvertible, Sendable {
    package let path: String
    package let problem: String

    init(path: String, problem: String) {
        self.path = path
        self.problem = problem
    }

    init(_ error: any Error, path: String) {
        self.path = path
        guard let error = error as? DatabaseError else {
            problem = "\(error)"
            return
        }
        problem =
            switch error.resultCode {
            case .SQLITE_FULL: "the disk is full, or the file as large as `store.max_bytes` allows; make room, or raise the limit"
            case .SQLITE_BUSY, .SQLITE_LOCKED: "another process has it open; a store belongs to one gateway"
            case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM:
                "it, or its folder, can't be written: \(error.message ?? "see its rights")"
            case .SQLITE_CORRUPT, .SQLITE_NOTADB: "it is damaged or no SQLite file; put it aside and start anew, or restore a copy"
            case .SQLITE_IOERR:
                "the disk refuses to read or write: \(error.message ?? "I/O error"); see the system's log, and whether the file may be written"
            default: error.message ?? "\(error.resultCode)"
            }
    }

    package var description: String { "store \(path): \(problem)" }
}

import CLinux
import Glibc

/// Type and permissions of a file.
struct FileMode {
    private let mode: mode_t

    /// Nil, with `errno` set, when the file can't be looked at.
    init?(of path: String) {
        let found = parley_file_mode(path)
        guard found >= 0 else { return nil }
        mode = mode_t(found)
    }

    var isFile: Bool { mode & S_IFMT == S_IFREG }
    var isFolder: Bool { mode & S_IFMT == S_IFDIR }
    /// Somebody may execute it.
    var isExecutable: Bool { mode & 0o111 != 0 }
}

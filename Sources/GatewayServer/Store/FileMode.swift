// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Type and permissions of a file.
struct FileMode {
    private let mode: mode_t

    /// Reads the mode with `stat(2)`. Nil, with `errno` set, on failure.
    init?(of path: String) {
        let found = parley_file_mode(path)
        guard found >= 0 else { return nil }
        mode = mode_t(found)
    }

    var isFile: Bool { mode & S_IFMT == S_IFREG }
    var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
    /// Whether users other than the owner and the group may read the file.
    var isReadableByOthers: Bool { mode & 0o004 != 0 }
    /// Whether any user may execute the file.
    var isExecutable: Bool { mode & 0o111 != 0 }
}

import Glibc

/// Whether files have changed, told from their inodes, sizes and times without reading them. A file that appears, vanishes or is
/// replaced under its name, as Kubernetes does with mounted secrets, counts as changed.
package struct ConfigurationFingerprint: Sendable, Equatable {
    private struct Mark: Sendable, Equatable {
        var device: UInt64
        var inode: UInt64
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }

    private var marks: [String: Mark?] = [:]

    /// Looks at the files now; symbolic links are followed, missing files are noted as such.
    package init(of paths: [String]) {
        for path in paths {
            var status = stat()
            let found = stat(path, &status) == 0
            marks[path] = .some(
                found
                    ? Mark(
                        device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int(status.st_size),
                        seconds: Int(status.st_mtim.tv_sec), nanoseconds: Int(status.st_mtim.tv_nsec))
                    : nil)
        }
    }

    /// Adds files that became known later.
    mutating func add(_ paths: [String]) {
        marks.merge(ConfigurationFingerprint(of: paths).marks) { earlier, _ in earlier }
    }
}

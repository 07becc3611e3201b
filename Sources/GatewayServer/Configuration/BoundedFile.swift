import Glibc

/// Reads files whose size somebody else decides: configuration, secrets.
enum BoundedFile {
    /// What came of it.
    enum Outcome: Equatable {
        case bytes([UInt8])
        /// There is nothing of that name, which is often no error.
        case missing
        /// There is something, but it can't be read; says why, in words.
        case unreadable(String)
    }

    /// The bytes of a regular file, at most `limit` of them. Neither a pipe nor a device can make it wait, and a file that is
    /// larger is refused from its size, before anything is read.
    static func read(_ path: String, limit: Int) -> Outcome {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            return errno == ENOENT || errno == ENOTDIR ? .missing : .unreadable(reason())
        }
        defer { _ = close(descriptor) }
        // What has no size, a pipe or a directory, isn't a file to read.
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0, size < Int.max, lseek(descriptor, 0, SEEK_SET) == 0 else { return .unreadable("not a file") }
        guard size <= limit else { return .unreadable("larger than \(ConfigurationNotation.text(size: limit))") }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return .unreadable(reason()) }
            if count == 0 { return .bytes(bytes) }
            // It may have grown since it was measured.
            guard bytes.count + count <= limit else { return .unreadable("larger than \(ConfigurationNotation.text(size: limit))") }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}

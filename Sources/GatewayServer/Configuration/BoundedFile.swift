// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Reads files of untrusted size, up to a limit: configuration, secrets.
enum BoundedFile {
    /// The result of reading a file.
    enum Outcome: Equatable {
        case bytes([UInt8])
        /// The file doesn't exist, which many callers allow.
        case missing
        /// The file exists but can't be read, for the given reason.
        case unreadable(String)
    }

    /// Reads a regular file of at most `limit` bytes. Never blocks on a pipe or a device, and rejects a larger file by its size before
    /// reading it.
    static func read(_ path: String, limit: Int) -> Outcome {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            return errno == ENOENT || errno == ENOTDIR ? .missing : .unreadable(reason())
        }
        defer { _ = close(descriptor) }
        // Pipes and directories have no size and are rejected.
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0, size < Int.max, lseek(descriptor, 0, SEEK_SET) == 0 else { return .unreadable("not a regular file") }
        guard size <= limit else { return .unreadable("larger than \(ConfigurationNotation.text(size: limit))") }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return .unreadable(reason()) }
            if count == 0 { return .bytes(bytes) }
            // The file may have grown since its size was read.
            guard bytes.count + count <= limit else { return .unreadable("larger than \(ConfigurationNotation.text(size: limit))") }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}

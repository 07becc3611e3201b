// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer

/// The file named by `--history`: lines that the user entered in earlier conversations. Created with mode 0600.
struct HistoryFile: Sendable {
    let path: String

    /// Returns the lines of the file; none if the file doesn't exist.
    func read() throws(FileFault) -> LineHistory {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return LineHistory() }
            throw FileFault(path: path, reason: Descriptor.text(errno))
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        // `LineHistory` drops the oldest lines beyond its bounds; reading is limited so that a huge file can't exhaust memory.
        while bytes.count < 4 * LineHistory.maximumBytes {
            let part = Descriptor.read(descriptor)
            if part.isEmpty { break }
            bytes += part
        }
        return LineHistory(file: String(decoding: bytes, as: UTF8.self))
    }

    /// Replaces the file atomically, so that a crash leaves the old one.
    func write(_ history: LineHistory) throws(FileFault) {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileFault(path: path, reason: Descriptor.text(errno)) }
        let failure = Descriptor.write(Array(history.file.utf8), to: descriptor)
        close(descriptor)
        guard failure == nil, rename(temporary, path) == 0 else {
            let number = failure ?? errno
            unlink(temporary)
            throw FileFault(path: path, reason: Descriptor.text(number))
        }
    }
}

/// A failure to read or write a file, with the reason as text.
struct FileFault: Error, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "\(path): \(reason)" }
}

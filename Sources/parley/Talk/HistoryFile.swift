import Foundation
import GatewayServer

/// The file that `--history` names: what the user wrote in earlier conversations. For its owner only; there is none unless it's asked for.
struct HistoryFile: Sendable {
    let path: String

    /// - Throws: ``FileFault``
    func read() throws(FileFault) -> LineHistory {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return LineHistory() }
            throw FileFault(path: path, reason: Descriptor.text(errno))
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        // The oldest lines of a file that is too long are dropped one by one; nothing sensible is this long.
        while bytes.count < 4 * LineHistory.mostBytes {
            let part = Descriptor.read(descriptor)
            if part.isEmpty { break }
            bytes += part
        }
        return LineHistory(file: String(decoding: bytes, as: UTF8.self))
    }

    /// Replaces the file whole, so that a crash leaves the old one.
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

/// A file that can't be used, in words.
struct FileFault: Error, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "\(path): \(reason)" }
}

// SPDX-License-Identifier: Apache-2.0

import CLinux
import GatewayCore
import Glibc

/// Writes bytes to a descriptor. Returns the number of written bytes, or the negative error number.
package typealias AuditWrite = @Sendable (Int32, UnsafeRawBufferPointer) -> Int

/// The file or standard output that audit records are appended to, and the end of its chain. Confined to the thread of ``AuditWriter``.
///
/// A record is written by one call. If the call writes only a part of it, that part is removed again, so that only a crash leaves a partial
/// line.
struct AuditOutput: ~Copyable {
    static let systemWrite: AuditWrite = { descriptor, bytes in
        let result = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        return result < 0 ? -Int(errno) : result
    }

    /// The path of the file; nil for standard output.
    private let path: String?
    private var descriptor: Int32
    private(set) var chain: AuditChain
    /// The records to write before the next one: they begin the file and explain its partial line.
    private var prologue: [AuditRecord] = []
    /// Whether the last byte of the file isn't a line feed.
    private var isLineOpen = false
    private let write: AuditWrite

    /// The size of the file's end that is searched for the last record, in bytes.
    private static let tailBytes = 1 << 20

    /// Opens or creates a file, with mode 0600, and finds its last record.
    ///
    /// - Parameters:
    ///   - path: the file; `-` for standard output
    ///   - wall: Unix milliseconds
    init(path: String, wall: Int64, write: @escaping AuditWrite = AuditOutput.systemWrite) throws(AuditFault) {
        self.write = write
        guard path != "-" else {
            self.path = nil
            descriptor = STDOUT_FILENO
            chain = AuditChain(hash: AuditDigest.sha256)
            prologue = [Self.begin("start", at: wall)]
            return
        }
        self.path = path
        let opened = try Self.open(path)
        let tail: Tail
        do throws(AuditFault) {
            tail = try Self.tail(of: opened.descriptor, size: opened.size)
        } catch {
            _ = Glibc.close(opened.descriptor)
            throw error
        }
        descriptor = opened.descriptor
        chain = AuditChain(after: tail.last?.sequence ?? 0, last: tail.last?.digest ?? .zero, hash: AuditDigest.sha256)
        if let partial = tail.partial {
            isLineOpen = true
            prologue = [AuditRecord(.recover, at: wall, details: partial.details)]
        }
        prologue.append(Self.begin("start", at: wall))
    }

    deinit { if path != nil, descriptor >= 0 { _ = Glibc.close(descriptor) } }

    /// Closes the file, whose lock is then free. Nothing may be written afterward.
    mutating func close() {
        guard path != nil, descriptor >= 0 else { return }
        _ = Glibc.close(descriptor)
        descriptor = -1
    }

    private static func begin(_ reason: String, at wall: Int64) -> AuditRecord {
        AuditRecord(.begin, at: wall, details: [.init("reason", reason)])
    }

    /// The number of bytes of the partial line that an interrupted write left before this run; nil if there is none.
    var partialBytes: Int64? {
        guard let record = prologue.first, record.event == .recover, case .number(let count) = record.details.first?.value else {
            return nil
        }
        return count
    }

    // MARK: Writing

    /// Appends a record, after those that begin the file.
    mutating func append(_ record: AuditRecord) throws(AuditFault) {
        try begin()
        try put(record)
    }

    /// Writes the records that begin the file, unless that is done.
    mutating func begin() throws(AuditFault) {
        while let first = prologue.first {
            try put(first)
            prologue.removeFirst()
        }
    }

    private mutating func put(_ record: AuditRecord) throws(AuditFault) {
        let (line, next) = chain.appending(record)
        let bytes = isLineOpen ? [0x0A] + line : line
        var written = 0
        while written < bytes.count {
            let result = bytes.withUnsafeBytes { write(descriptor, UnsafeRawBufferPointer(rebasing: $0[written...])) }
            if result > 0 {
                written += result
                continue
            }
            switch result == 0 ? EAGAIN : Int32(-result) {
            case EINTR: continue
            case EAGAIN where path == nil:
                // Standard output may be a pipe that another process made non-blocking.
                var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                guard Glibc.poll(&poll, 1, -1) >= 0 || errno == EINTR else { fallthrough }
            default:
                let message = String(cString: strerror(Int32(-result)))
                undo(written)
                throw .cannotWrite(message)
            }
        }
        isLineOpen = false
        chain = next
    }

    /// Removes the part of a record that was written before an error.
    private mutating func undo(_ written: Int) {
        guard written > 0 else { return }
        guard path != nil else {
            isLineOpen = true
            return
        }
        var status = parley_file_status()
        guard parley_descriptor_status(descriptor, &status) == 0, status.size >= written,
            ftruncate(descriptor, off_t(status.size) - written) == 0
        else {
            // The rest of the line isn't a record; the next one explains it.
            isLineOpen = true
            if let tail = try? Self.tail(of: descriptor, size: status.size), let partial = tail.partial {
                prologue.insert(AuditRecord(.recover, at: LoopClock.wallMilliseconds(), details: partial.details), at: 0)
            }
            return
        }
    }

    /// Writes the file's data to the disk.
    func synchronize() { if path != nil { _ = fdatasync(descriptor) } }

    // MARK: Rotation

    /// Reopens the file if it was renamed, removed or truncated. The new file continues the chain.
    ///
    /// - Returns: whether a new file was begun
    mutating func reopen(wall: Int64) throws(AuditFault) -> Bool {
        guard let path else { return false }
        var current = parley_file_status()
        var named = parley_file_status()
        guard parley_descriptor_status(descriptor, &current) == 0 else { throw .cannotOpen(String(cString: strerror(errno))) }
        if parley_path_status(path, &named) == 0, named.inode == current.inode, named.device == current.device {
            guard current.size == 0, chain.sequence > 0, prologue.isEmpty else { return false }
        } else {
            let opened = try Self.open(path)
            synchronize()
            _ = Glibc.close(descriptor)
            descriptor = opened.descriptor
        }
        isLineOpen = false
        prologue = [Self.begin("rotated", at: wall)]
        return true
    }

    private static func open(_ path: String) throws(AuditFault) -> (descriptor: Int32, size: Int64) {
        let descriptor = Glibc.open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0o600)
        guard descriptor >= 0 else { throw .cannotOpen(String(cString: strerror(errno))) }
        var status = parley_file_status()
        guard parley_descriptor_status(descriptor, &status) == 0, status.mode & S_IFMT == S_IFREG else {
            _ = Glibc.close(descriptor)
            throw .notAFile
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            _ = Glibc.close(descriptor)
            throw .inUse
        }
        return (descriptor, status.size)
    }

    // MARK: Recovery

    private struct Tail {
        var last: AuditLine?
        var partial: AuditLine.Partial?
    }

    /// Finds the last record of a file, and the partial line after it.
    private static func tail(of descriptor: Int32, size: Int64) throws(AuditFault) -> Tail {
        guard size > 0 else { return Tail() }
        let start = max(0, size - Int64(tailBytes))
        var bytes = [UInt8](repeating: 0, count: Int(size - start))
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(start)) }
        guard count == bytes.count else { throw .cannotRead(count < 0 ? String(cString: strerror(errno)) : "it became shorter") }
        let end = (bytes.lastIndex(of: 0x0A) ?? -1) + 1
        var tail = Tail()
        if end < bytes.count {
            // A longer partial line than a record can have is no part of one.
            guard end > 0 || start == 0, bytes.count - end <= AuditLine.maximumBytes else { throw .noRecord }
            tail.partial = AuditLine.Partial(count: UInt64(bytes.count - end), digest: AuditDigest.sha256(Array(bytes[end...])))
        }
        var rest = bytes[..<max(0, end - 1)]
        while end > 0 {
            let lineStart = (rest.lastIndex(of: 0x0A) ?? rest.startIndex - 1) + 1
            if let line = AuditLine(rest[lineStart...]) {
                tail.last = line
                break
            }
            guard lineStart > 0 else { break }
            rest = rest[..<(lineStart - 1)]
        }
        guard tail.last != nil || end == 0 else { throw .noRecord }
        return tail
    }
}

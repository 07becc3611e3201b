// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dispatch
import GatewayCore
import Glibc

/// Reads pages of records from the audit file.
package struct AuditReader: Sendable {
    /// A position in the file, as text for clients.
    package struct Cursor: Sendable, Equatable {
        /// The inode of the file, which differs after a rotation.
        package var file: UInt64
        package var offset: Int64

        package init(file: UInt64, offset: Int64) {
            self.file = file
            self.offset = offset
        }

        package init?(_ text: some StringProtocol) {
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count == 2, text.utf8.count <= 40, let file = UInt64(parts[0]), let offset = Int64(parts[1]), offset >= 0 else {
                return nil
            }
            self.init(file: file, offset: offset)
        }

        package var text: String { "\(file)-\(offset)" }
    }

    package struct Page: Sendable {
        /// The lines of the records, without line feeds.
        package var lines: [[UInt8]] = []
        /// The position of the next page; nil at the end of the file.
        package var cursor: Cursor?
    }

    package enum Fault: Error, Sendable, Equatable {
        /// The file was rotated since the cursor was returned, or the cursor isn't one.
        case invalidCursor
        case file(AuditFault)
    }

    /// The maximum number of bytes that are read for a page, so that each request takes a bounded time.
    package static let maximumBytes: Int64 = 4 << 20
    private static let blockSize = 256 << 10
    private static let queue = DispatchQueue(label: "parley.audit.reader")

    private let path: String
    private let maximumBytes: Int64

    package init(path: String, maximumBytes: Int64 = AuditReader.maximumBytes) {
        self.path = path
        self.maximumBytes = maximumBytes
    }

    /// Returns up to `limit` records whose time is in `times`, in the order of the file. A page can be empty before the last one.
    package func page(_ times: Range<Int64>, after cursor: Cursor?, limit: Int) async throws(Fault) -> Page {
        let result = await withCheckedContinuation { continuation in
            Self.queue.async { continuation.resume(returning: Result { () throws(Fault) in try read(times, after: cursor, limit: limit) }) }
        }
        return try result.get()
    }

    private func read(_ times: Range<Int64>, after cursor: Cursor?, limit: Int) throws(Fault) -> Page {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(.cannotRead(String(cString: strerror(errno)))) }
        defer { close(descriptor) }
        var status = parley_file_status()
        guard parley_descriptor_status(descriptor, &status) == 0 else { throw .file(.cannotRead(String(cString: strerror(errno)))) }
        let file = status.inode
        var offset = cursor?.offset ?? 0
        guard cursor.map({ $0.file == file && $0.offset <= status.size }) ?? true else { throw .invalidCursor }
        let end = offset + maximumBytes
        var page = Page()
        var rest: [UInt8] = []
        while page.lines.count < limit, offset + Int64(rest.count) < end {
            var block = [UInt8](repeating: 0, count: Self.blockSize)
            let count = block.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(offset + Int64(rest.count))) }
            guard count >= 0 else { throw .file(.cannotRead(String(cString: strerror(errno)))) }
            // The last line may be incomplete: it is being written.
            if count == 0 { return page }
            rest += block[..<count]
            var start = 0
            while page.lines.count < limit, let feed = rest[start...].firstIndex(of: 0x0A) {
                if let time = AuditLine.time(of: rest[start..<feed]), times.contains(time) { page.lines.append(Array(rest[start..<feed])) }
                start = feed + 1
            }
            rest.removeFirst(start)
            offset += Int64(start)
            // No record is that long.
            if rest.count > AuditLine.maximumBytes, rest.firstIndex(of: 0x0A) == nil {
                offset += Int64(rest.count)
                rest = []
            }
        }
        page.cursor = offset < status.size ? Cursor(file: file, offset: offset) : nil
        return page
    }
}

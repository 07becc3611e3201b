// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The thread of a ``LogWriter``: dequeues batches of lines and writes them to the descriptor.
final class LogThread: Sendable {
    private let queue: LogQueue
    private let fileDescriptor: Int32
    private let notice: @Sendable (UInt64) -> [UInt8]

    init(queue: LogQueue, fileDescriptor: Int32, notice: @escaping @Sendable (UInt64) -> [UInt8]) {
        self.queue = queue
        self.fileDescriptor = fileDescriptor
        self.notice = notice
    }

    /// Starts the thread. Returns false if the system can't create one.
    func start() -> Bool { DetachedThread.start { self.run() } }

    private func run() {
        var buffer: [UInt8] = []
        var isLineOpen = false
        while let batch = queue.dequeue(into: &buffer) {
            if isLineOpen {
                // An earlier write stopped within a line: end that line, so that it doesn't corrupt the next one.
                isLineOpen = write([0x0A]) == 0
            }
            var lost = batch.lines
            var unreported = batch.dropped
            if !isLineOpen {
                let written = write(buffer)
                isLineOpen = written > 0 && buffer[written - 1] != 0x0A
                lost = written == buffer.count ? 0 : buffer[written...].count { $0 == 0x0A }
                if lost == 0, batch.dropped > 0 {
                    let line = notice(batch.dropped)
                    let written = write(line)
                    isLineOpen = written > 0 && written < line.count
                    unreported = written == line.count ? 0 : batch.dropped
                }
            }
            queue.finish(batch, lost: lost, unreported: unreported)
        }
        queue.finished()
    }

    /// Writes all bytes, waiting while the descriptor isn't writable. Returns the number of bytes written before a permanent error.
    private func write(_ bytes: [UInt8]) -> Int {
        var offset = 0
        while offset < bytes.count {
            let result = bytes.withUnsafeBytes { buffer in
                Glibc.write(fileDescriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
            }
            if result > 0 {
                offset += result
                continue
            }
            switch result == 0 ? EAGAIN : errno {
            case EINTR: continue
            case EAGAIN:
                // Another process made the shared descriptor non-blocking: this thread may wait.
                var poll = pollfd(fd: fileDescriptor, events: Int16(POLLOUT), revents: 0)
                guard Glibc.poll(&poll, 1, -1) >= 0 || errno == EINTR else { return offset }
            default: return offset
            }
        }
        return offset
    }
}

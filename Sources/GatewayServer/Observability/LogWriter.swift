// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Writes log lines to a file descriptor on a dedicated thread.
///
/// Event loops enqueue formatted lines and never wait for the descriptor. If the descriptor is too slow, blocked or closed, lines are
/// dropped and counted, and as soon as there is room again one line reports their number:
/// `{"ts":…,"level":"warning","logger":"parley.log","msg":"log lines dropped","count":n}`. The descriptor keeps its mode: standard output
/// may be shared with a shell, so it isn't made non-blocking.
package final class LogWriter: Sendable {
    private let queue: LogQueue

    /// Starts the thread, which lives until ``close(within:)``.
    ///
    /// - Parameters:
    ///   - fileDescriptor: the output, blocking or non-blocking; stays open when the writer closes.
    ///   - maximumBytes: maximum bytes of the lines that are queued or being written; further lines are dropped.
    ///   - maximumLines: maximum number of these lines.
    ///   - notice: formats the line that reports `n` dropped lines, including the line feed.
    package init(
        fileDescriptor: Int32, maximumBytes: Int = 1 << 20, maximumLines: Int = 8192, notice: @escaping @Sendable (UInt64) -> [UInt8]
    ) {
        let queue = LogQueue(maximumBytes: maximumBytes, maximumLines: maximumLines)
        self.queue = queue
        let thread = LogThread(queue: queue, fileDescriptor: fileDescriptor, notice: notice)
        guard thread.start() else {
            // Without a thread the queue would never be emptied: count every line as dropped instead.
            queue.close()
            queue.finished()
            return
        }
    }

    /// Enqueues one whole line that ends with a line feed. Never waits for the descriptor; a line that doesn't fit is dropped and counted.
    package func write(_ line: [UInt8]) {
        queue.enqueue(line)
    }

    /// Lines that were lost because the queue was full, the write failed, or the writer was closed.
    package var dropped: UInt64 { queue.dropped }

    /// Lines that were written, not counting notices.
    package var written: UInt64 { queue.written }

    /// Blocks the calling thread until every line is written or lost, but no longer than `timeout`. Returns false if lines are still
    /// queued.
    ///
    /// Called at the end of the program, never by an event loop.
    @discardableResult
    package func flush(within timeout: Duration) -> Bool {
        queue.waitUntilDrained(within: timeout)
    }

    /// Rejects further lines, writes the queued ones, and ends the thread. Returns false if that takes longer than `timeout`: the thread
    /// then ends as soon as its write returns.
    @discardableResult
    package func close(within timeout: Duration) -> Bool {
        queue.close()
        return queue.waitUntilFinished(within: timeout)
    }
}

import Glibc

/// Writes log lines to a file descriptor from a thread of its own.
///
/// Event loops hand over finished lines and go on; they never wait for the descriptor. When it is slower than the log for long, or blocked, or
/// gone, lines are dropped and counted, and as soon as there is room again one line tells how many:
/// `{"ts":…,"level":"warning","logger":"parley.log","msg":"log lines dropped","count":n}`.
/// The descriptor keeps its mode: standard output may be shared with a shell, so it isn't made non-blocking.
package final class LogWriter: Sendable {
    private let queue: LogQueue

    /// Starts the thread, which lives until ``close(within:)``.
    ///
    /// - Parameters:
    ///   - fileDescriptor: where lines go; stays open when the writer closes. Blocking or not, both do.
    ///   - maximumBytes: lines waiting or being written, in bytes. A line beyond it is dropped.
    ///   - maximumLines: the same, counted in lines.
    ///   - notice: makes the line that tells of `n` dropped ones, line feed included.
    package init(
        fileDescriptor: Int32, maximumBytes: Int = 1 << 20, maximumLines: Int = 8192, notice: @escaping @Sendable (UInt64) -> [UInt8]
    ) {
        let queue = LogQueue(maximumBytes: maximumBytes, maximumLines: maximumLines)
        self.queue = queue
        let thread = LogThread(queue: queue, fileDescriptor: fileDescriptor, notice: notice)
        guard thread.start() else {
            // Without a thread nobody would ever empty the queue: count every line as dropped instead.
            queue.close()
            queue.finished()
            return
        }
    }

    /// Hands over one whole line that ends with a line feed. Never waits for the descriptor; a line that doesn't fit is dropped and counted.
    package func write(_ line: [UInt8]) {
        queue.offer(line)
    }

    /// Lines that are lost: no room, a descriptor that refused them, or handed over after the close.
    package var dropped: UInt64 { queue.dropped }

    /// Lines that the descriptor took, notices not counted.
    package var written: UInt64 { queue.written }

    /// Blocks the calling thread until every line is written or lost, but no longer than `timeout`. False if some are still waiting.
    ///
    /// For the end of the program; an event loop never calls it.
    @discardableResult
    package func flush(within timeout: Duration) -> Bool {
        queue.waitUntilDrained(within: timeout)
    }

    /// Takes no further line, writes what is queued, and ends the thread. False if that took longer than `timeout`: the thread then ends when
    /// the descriptor lets it go.
    @discardableResult
    package func close(within timeout: Duration) -> Bool {
        queue.close()
        return queue.waitUntilFinished(within: timeout)
    }
}

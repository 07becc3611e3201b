// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// The bounded queue of formatted lines from many threads to the writer's thread.
///
/// A producer holds the lock for one `memcpy`, the writer for one swap of two buffers, and neither holds it during a system call, so that
/// event loops never wait. Lines that the writer has dequeued but not yet written still count toward the bounds.
final class LogQueue: Sendable {
    /// The lines that the writer has dequeued; their bytes are in the writer's buffer.
    struct Batch {
        var lines: Int
        /// Lines dropped since the last notice. They came after the lines of this batch.
        var dropped: UInt64
    }

    private struct State: WaitableState {
        var pending: [UInt8] = []
        var pendingLines = 0
        var inFlightBytes = 0
        var inFlightLines = 0
        var unreported: UInt64 = 0
        var droppedTotal: UInt64 = 0
        var writtenTotal: UInt64 = 0
        /// Whether the last write failed: a notice of dropped lines then waits for the next line instead of being retried continuously.
        var isFailing = false
        /// Whether a notice of dropped lines is being written.
        var isReporting = false
        var isClosed = false
        var isFinished = false
        var isWriterWaiting = false
        var waiters = Waiters()

        var hasWork: Bool { pendingLines > 0 || (unreported > 0 && !isFailing) }
        var isDrained: Bool { !hasWork && inFlightLines == 0 && !isReporting }
    }

    private let maximumBytes: Int
    private let maximumLines: Int
    private let state = Mutex(State())
    private let work = DispatchSemaphore(value: 0)

    init(maximumBytes: Int, maximumLines: Int) {
        self.maximumBytes = maximumBytes
        self.maximumLines = maximumLines
    }

    /// Enqueues a whole line, including its line feed, or drops and counts it.
    func enqueue(_ line: [UInt8]) {
        let wakes = state.withLock { state in
            let lines = state.pendingLines &+ state.inFlightLines
            let bytes = state.pending.count &+ state.inFlightBytes
            if !state.isClosed, lines < maximumLines, line.count <= maximumBytes &- bytes {
                state.pending.append(contentsOf: line)
                state.pendingLines &+= 1
            } else {
                state.unreported &+= 1
                state.droppedTotal &+= 1
            }
            // A drop is also reported if the line was too long for an empty queue, without waiting for the next line.
            guard state.isWriterWaiting, state.hasWork else { return false }
            state.isWriterWaiting = false
            return true
        }
        if wakes { work.signal() }
    }

    /// Waits for lines and swaps them into `buffer`, which is emptied first. Returns nil once the queue is closed and empty.
    func dequeue(into buffer: inout [UInt8]) -> Batch? {
        buffer.removeAll(keepingCapacity: buffer.capacity <= 256 << 10)
        while true {
            let (batch, waits) = state.withLock { state -> (Batch?, Bool) in
                guard state.hasWork else {
                    state.isWriterWaiting = !state.isClosed
                    return (nil, state.isWriterWaiting)
                }
                swap(&state.pending, &buffer)
                let batch = Batch(lines: state.pendingLines, dropped: state.unreported)
                state.inFlightBytes = buffer.count
                state.inFlightLines = state.pendingLines
                state.isReporting = batch.dropped > 0
                state.pendingLines = 0
                state.unreported = 0
                return (batch, false)
            }
            guard waits else { return batch }
            work.wait()
        }
    }

    /// Completes a batch.
    ///
    /// - Parameters:
    ///   - lost: lines of the batch that couldn't be written.
    ///   - unreported: dropped lines whose notice couldn't be written.
    func finish(_ batch: Batch, lost: Int, unreported: UInt64) {
        state.withLock { state in
            state.inFlightBytes = 0
            state.inFlightLines = 0
            state.isReporting = false
            state.writtenTotal &+= UInt64(max(0, batch.lines &- lost))
            state.droppedTotal &+= UInt64(max(0, lost))
            state.unreported &+= unreported &+ UInt64(max(0, lost))
            state.isFailing = lost > 0 || unreported > 0
            if state.isDrained { state.waiters.release() }
        }
    }

    /// Rejects further lines; the queued lines are still written.
    func close() {
        let wakes = state.withLock { state in
            state.isClosed = true
            defer { state.isWriterWaiting = false }
            return state.isWriterWaiting
        }
        if wakes { work.signal() }
    }

    /// Records that the writer's thread has ended.
    func finished() {
        state.withLock { state in
            state.isFinished = true
            state.waiters.release()
        }
    }

    /// Waits until every line is written or lost. Returns false if the timeout passes first.
    func waitUntilDrained(within timeout: Duration) -> Bool {
        state.wait(within: timeout) { $0.isDrained || $0.isFinished }
    }

    /// Waits for the end of the writer's thread. Returns false if the timeout passes first.
    func waitUntilFinished(within timeout: Duration) -> Bool {
        state.wait(within: timeout) { $0.isFinished }
    }

    /// Lines dropped or lost since startup.
    var dropped: UInt64 { state.withLock { $0.droppedTotal } }

    /// Lines written since startup.
    var written: UInt64 { state.withLock { $0.writtenTotal } }
}

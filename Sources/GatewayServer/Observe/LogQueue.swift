import Dispatch
import GatewayCore
import Synchronization

/// The bounded hand-over of finished lines from many threads to the one that writes them.
///
/// A producer holds the lock for one `memcpy`, the writer for one swap of two buffers, and neither ever holds it during a system call:
/// that is what keeps event loops from waiting. What the writer has taken but not yet written still counts against the bounds.
final class LogQueue: Sendable {
    /// What the writer took: the bytes are in its own buffer.
    struct Batch {
        var lines: Int
        /// Lines refused since the last notice of it. They came after the lines of this batch.
        var dropped: UInt64
    }

    private struct State {
        var pending: [UInt8] = []
        var pendingLines = 0
        var inFlightBytes = 0
        var inFlightLines = 0
        var unreported: UInt64 = 0
        var droppedTotal: UInt64 = 0
        var writtenTotal: UInt64 = 0
        /// The last write failed: a notice of dropped lines waits for the next line instead of being tried over and over.
        var isFailing = false
        /// A notice of dropped lines is being written.
        var isReporting = false
        var isClosed = false
        var isFinished = false
        var writerWaits = false
        var flushes: [DispatchSemaphore] = []

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

    /// Takes a whole line, its line feed included, or drops and counts it.
    func offer(_ line: [UInt8]) {
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
            // A line too long for an empty queue is to be told of as well, not only with the next one that fits.
            guard state.writerWaits, state.hasWork else { return false }
            state.writerWaits = false
            return true
        }
        if wakes { work.signal() }
    }

    /// Waits for lines and swaps them into `buffer`, which is emptied first. Nil once the queue is closed and empty.
    func take(into buffer: inout [UInt8]) -> Batch? {
        buffer.removeAll(keepingCapacity: buffer.capacity <= 256 << 10)
        while true {
            let (batch, waits) = state.withLock { state -> (Batch?, Bool) in
                guard state.hasWork else {
                    state.writerWaits = !state.isClosed
                    return (nil, state.writerWaits)
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

    /// Ends the batch that was taken.
    ///
    /// - Parameters:
    ///   - lost: lines of it that the descriptor didn't take.
    ///   - unreported: dropped lines that were to be told of but weren't.
    func finish(_ batch: Batch, lost: Int, unreported: UInt64) {
        state.withLock { state in
            state.inFlightBytes = 0
            state.inFlightLines = 0
            state.isReporting = false
            state.writtenTotal &+= UInt64(max(0, batch.lines &- lost))
            state.droppedTotal &+= UInt64(max(0, lost))
            state.unreported &+= unreported &+ UInt64(max(0, lost))
            state.isFailing = lost > 0 || unreported > 0
            if state.isDrained { Self.release(&state.flushes) }
        }
    }

    /// No line is taken any more; what is queued is still written.
    func close() {
        let wakes = state.withLock { state in
            state.isClosed = true
            defer { state.writerWaits = false }
            return state.writerWaits
        }
        if wakes { work.signal() }
    }

    /// The writer's thread is at its end.
    func finished() {
        state.withLock { state in
            state.isFinished = true
            Self.release(&state.flushes)
        }
    }

    /// Waits until everything is written or lost. False when the deadline came first.
    func waitUntilDrained(within timeout: Duration) -> Bool {
        wait(within: timeout) { $0.isDrained || $0.isFinished }
    }

    /// Waits for the end of the writer's thread.
    func waitUntilFinished(within timeout: Duration) -> Bool {
        wait(within: timeout) { $0.isFinished }
    }

    /// Lines refused or lost since the start.
    var dropped: UInt64 { state.withLock { $0.droppedTotal } }

    /// Lines that the descriptor took since the start.
    var written: UInt64 { state.withLock { $0.writtenTotal } }

    private func wait(within timeout: Duration, for condition: (borrowing State) -> Bool) -> Bool {
        // Half the range, so that "for ever" doesn't overflow the clock.
        let deadline = DispatchTime.now() + .nanoseconds(Int(min(timeout.clampedNanoseconds, .max / 2)))
        while true {
            // A semaphore for each turn, because "drained" can be over again before this thread looks.
            let turn = DispatchSemaphore(value: 0)
            let isMet = state.withLock { state in
                if condition(state) { return true }
                state.flushes.append(turn)
                return false
            }
            if isMet { return true }
            guard turn.wait(timeout: deadline) == .success else {
                return state.withLock { state in
                    state.flushes.removeAll { $0 === turn }
                    return condition(state)
                }
            }
        }
    }

    private static func release(_ flushes: inout [DispatchSemaphore]) {
        for turn in flushes { turn.signal() }
        flushes.removeAll()
    }
}

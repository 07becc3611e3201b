// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Dispatch
import GatewayCore
import Synchronization

/// The bounded queue of audit records from many threads to the thread of the ``AuditWriter``. Producers never wait: a record that doesn't
/// fit is dropped and counted.
final class AuditQueue: Sendable {
    enum Step {
        /// Write these records, then report the number of records that were dropped after them.
        case write(Deque<AuditRecord>, dropped: UInt64)
        case reopen
        /// Nothing was enqueued for ``idleTime``.
        case idle
        case end
    }

    private struct State: WaitableState {
        var pending: Deque<AuditRecord> = []
        var inFlight = 0
        var dropped: UInt64 = 0
        var droppedTotal: UInt64 = 0
        var mustReopen = false
        var isClosed = false
        var isFinished = false
        var isWaiting = false
        var waiters = Waiters()

        var isDrained: Bool { (pending.isEmpty && inFlight == 0 && !mustReopen && dropped == 0) || isFinished }
    }

    static let idleTime = DispatchTimeInterval.seconds(1)

    private let capacity: Int
    private let state = Mutex(State())
    private let work = DispatchSemaphore(value: 0)

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Records dropped since startup.
    var dropped: UInt64 { state.withLock { $0.droppedTotal } }

    // MARK: Producers

    func enqueue(_ record: AuditRecord) {
        change { state in
            if !state.isClosed, state.pending.count &+ state.inFlight < capacity {
                state.pending.append(record)
            } else if !state.isFinished {
                state.dropped &+= 1
                state.droppedTotal &+= 1
            }
        }
    }

    func requestReopening() { change { $0.mustReopen = true } }

    func close() { change { $0.isClosed = true } }

    private func change(_ body: (inout State) -> Void) {
        let wakes = state.withLock { state in
            body(&state)
            defer { state.isWaiting = false }
            return state.isWaiting
        }
        if wakes { work.signal() }
    }

    /// Waits until every record so far is written or dropped. Returns false if the timeout passes first.
    func waitUntilDrained(within timeout: Duration) -> Bool { state.wait(within: timeout) { $0.isDrained } }

    func waitUntilFinished(within timeout: Duration) -> Bool { state.wait(within: timeout) { $0.isFinished } }

    // MARK: The writer

    /// Waits for the next step. The records of the previous one are done.
    func next() -> Step {
        while true {
            let (step, waits) = state.withLock { state -> (Step, Bool) in
                state.inFlight = 0
                if state.mustReopen {
                    state.mustReopen = false
                    state.inFlight = 1
                    return (.reopen, false)
                }
                if !state.pending.isEmpty || state.dropped > 0 {
                    let records = state.pending
                    state.pending = []
                    // The report of dropped records counts as one.
                    state.inFlight = records.count + (state.dropped > 0 ? 1 : 0)
                    defer { state.dropped = 0 }
                    return (.write(records, dropped: state.dropped), false)
                }
                if state.isDrained { state.waiters.release() }
                if state.isClosed { return (.end, false) }
                state.isWaiting = true
                return (.idle, true)
            }
            guard waits else { return step }
            if work.wait(timeout: .now() + Self.idleTime) == .timedOut { return .idle }
        }
    }

    /// Waits before a record is written again.
    ///
    /// - Returns: false when the queue is closed: the record is given up
    func waitBeforeRetry(_ duration: Duration) -> Bool {
        let mayWait = state.withLock { state in
            state.isWaiting = !state.isClosed && !state.mustReopen
            return state.isWaiting
        }
        if mayWait { _ = work.wait(timeout: .now() + .nanoseconds(Int(duration.clampedNanoseconds))) }
        return state.withLock { !$0.isClosed }
    }

    /// Returns whether the file must be reopened before a record is written again.
    func takeReopening() -> Bool {
        state.withLock { state in
            defer { state.mustReopen = false }
            return state.mustReopen
        }
    }

    /// Counts records that the writer gave up.
    func giveUp(_ count: Int) { state.withLock { $0.droppedTotal &+= UInt64(count) } }

    func finish() {
        state.withLock { state in
            state.isFinished = true
            state.waiters.release()
        }
    }
}

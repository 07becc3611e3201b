// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Synchronization

/// The queue of events between the event loop and the task that receives them. Bounded: the socket isn't read while the queue is full.
final class ClientInbox: Sendable {
    private struct Waiter {
        let ticket: UInt64
        let continuation: CheckedContinuation<ClientEvent?, Never>
    }

    private struct State {
        var events: Deque<ClientEvent> = []
        var bytes = 0
        var isFull = false
        var closing: ClientClosing?
        var waiters: Deque<Waiter> = []
        /// Tickets that were issued and neither resumed nor cancelled.
        var tickets: Set<UInt64> = []
        var nextTicket: UInt64 = 0
    }

    private let state = Mutex(State())
    private let maximumEvents: Int
    private let maximumBytes: Int

    init(maximumEvents: Int, maximumBytes: Int) {
        self.maximumEvents = maximumEvents
        self.maximumBytes = maximumBytes
    }

    /// How the connection closed; nil while it is open.
    var closing: ClientClosing? { state.withLock { $0.closing } }

    var hasEvents: Bool { state.withLock { !$0.events.isEmpty || $0.closing != nil } }

    /// Appends an event, or resumes the waiting task with it. After ``ClientEvent/closed(_:)`` only inserted events are accepted.
    ///
    /// - Returns: whether there is room for more
    @discardableResult
    func enqueue(_ event: ClientEvent) -> Bool {
        let waiter: CheckedContinuation<ClientEvent?, Never>? = state.withLock { state in
            if case .inserted = event {} else if state.closing != nil { return nil }
            if case .closed(let closing) = event { state.closing = closing }
            if let waiter = state.waiters.popFirst() {
                state.tickets.remove(waiter.ticket)
                return waiter.continuation
            }
            state.events.append(event)
            state.bytes += event.byteCount
            if state.events.count >= maximumEvents || state.bytes >= maximumBytes { state.isFull = true }
            return nil
        }
        waiter?.resume(returning: event)
        return state.withLock { !$0.isFull }
    }

    /// Accepts events again after the connection has closed.
    func reopen() { state.withLock { $0.closing = nil } }

    /// Removes and returns all inserted events, in order.
    func removeInserted() -> [ClientEvent.Inserted] {
        state.withLock { state in
            var removed: [ClientEvent.Inserted] = []
            state.events.removeAll { event in
                guard case .inserted(let inserted) = event else { return false }
                removed.append(inserted)
                state.bytes -= event.byteCount
                return true
            }
            return removed
        }
    }

    /// Removes and returns the oldest event. ``ClientEvent/closed(_:)`` is returned again each time once the queue is empty.
    ///
    /// - Returns: the event, and `hasRoom`, which is true if a full queue has emptied enough for the socket to be read again
    func dequeue() -> (event: ClientEvent?, hasRoom: Bool) {
        state.withLock { state in
            guard let event = state.events.popFirst() else { return (state.closing.map { .closed($0) }, false) }
            state.bytes -= event.byteCount
            guard state.isFull, state.events.count <= maximumEvents / 2, state.bytes <= maximumBytes / 2 else { return (event, false) }
            state.isFull = false
            return (event, true)
        }
    }

    /// Issues a ticket for ``wait(_:_:)``. ``cancelWait(_:)`` accepts it before, during and after the wait.
    func ticket() -> UInt64 {
        state.withLock { state in
            state.nextTicket &+= 1
            state.tickets.insert(state.nextTicket)
            return state.nextTicket
        }
    }

    /// Resumes the continuation with the next event; with nil if the ticket was cancelled, or at once if ``dequeue()`` would return an event.
    func wait(_ ticket: UInt64, _ continuation: CheckedContinuation<ClientEvent?, Never>) {
        let waits = state.withLock { state in
            guard state.tickets.contains(ticket), state.events.isEmpty, state.closing == nil else {
                state.tickets.remove(ticket)
                return false
            }
            state.waiters.append(Waiter(ticket: ticket, continuation: continuation))
            return true
        }
        if !waits { continuation.resume(returning: nil) }
    }

    /// Cancels the wait of a ticket, which resumes with nil.
    func cancelWait(_ ticket: UInt64) {
        let continuation = state.withLock { state -> CheckedContinuation<ClientEvent?, Never>? in
            state.tickets.remove(ticket)
            guard let index = state.waiters.firstIndex(where: { $0.ticket == ticket }) else { return nil }
            return state.waiters.remove(at: index).continuation
        }
        continuation?.resume(returning: nil)
    }
}

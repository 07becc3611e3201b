import DequeModule
import Synchronization

/// Events between the event loop and whoever waits for them: bounded, because the socket isn't read while it is full.
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
        /// Tickets that were drawn and neither served nor given up.
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

    /// How the connection ended, once it has.
    var closing: ClientClosing? { state.withLock { $0.closing } }

    var hasEvents: Bool { state.withLock { !$0.events.isEmpty || $0.closing != nil } }

    /// Adds an event, or hands it to the waiter. After the end, only events of the program's own are accepted.
    ///
    /// - Returns: whether there is room for more.
    @discardableResult
    func put(_ event: ClientEvent) -> Bool {
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

    /// Lets events in again behind the end.
    func reopen() { state.withLock { $0.closing = nil } }

    /// Takes out all events of the program's own, in order.
    func takeInserted() -> [ClientEvent.Inserted] {
        state.withLock { state in
            var taken: [ClientEvent.Inserted] = []
            state.events.removeAll { event in
                guard case .inserted(let own) = event else { return false }
                taken.append(own)
                state.bytes -= event.byteCount
                return true
            }
            return taken
        }
    }

    /// Takes the oldest event; the last one, the end, again and again.
    ///
    /// - Returns: `hasRoom` is true when the socket, that was full, may be read again.
    func take() -> (event: ClientEvent?, hasRoom: Bool) {
        state.withLock { state in
            guard let event = state.events.popFirst() else { return (state.closing.map { .closed($0) }, false) }
            state.bytes -= event.byteCount
            guard state.isFull, state.events.count <= maximumEvents / 2, state.bytes <= maximumBytes / 2 else { return (event, false) }
            state.isFull = false
            return (event, true)
        }
    }

    /// A ticket for ``wait(_:_:)``, that can be given up before, while and after it waits.
    func ticket() -> UInt64 {
        state.withLock { state in
            state.nextTicket &+= 1
            state.tickets.insert(state.nextTicket)
            return state.nextTicket
        }
    }

    /// Resumes with the next event, or with nil when the ticket was given up, and at once when there is something to take.
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

    /// Ends the wait without an event.
    func giveUp(_ ticket: UInt64) {
        let continuation = state.withLock { state -> CheckedContinuation<ClientEvent?, Never>? in
            state.tickets.remove(ticket)
            guard let index = state.waiters.firstIndex(where: { $0.ticket == ticket }) else { return nil }
            return state.waiters.remove(at: index).continuation
        }
        continuation?.resume(returning: nil)
    }
}

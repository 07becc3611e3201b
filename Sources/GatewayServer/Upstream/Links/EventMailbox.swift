import DequeModule
import GatewayCore
import NIOCore
import Synchronization

/// The way of a session's events from the event loop of its upstreams to the session's, while those aren't the same, or while the session is
/// transferred.
final class EventMailbox: UpstreamEventSink, Sendable {
    enum Item: Sendable {
        case event(UpstreamEvent)
        case consumed(Int)
        case played(Int, RequestKey)
    }

    /// The end of it, on the session's event loop.
    protocol Reader: AnyObject {
        func receive(_ items: Deque<Item>)
    }

    private struct State {
        var items: Deque<Item> = []
        var bytes = 0
        var reader: NIOLoopBound<any Reader>?
        var isScheduled = false

        /// The event loop to wake, if it hasn't been woken.
        mutating func schedule() -> (any EventLoop)? {
            guard !isScheduled, !items.isEmpty, let reader else { return nil }
            isScheduled = true
            return reader.eventLoop
        }

        mutating func take() -> Deque<Item> {
            defer { (items, bytes, isScheduled) = ([], 0, false) }
            return items
        }
    }

    private let state = Mutex(State())

    func deliver(_ event: consuming UpstreamEvent) -> Bool {
        let bytes = event.content.byteCount
        let event = event
        return put(.event(event), bytes: bytes)
    }

    func consumed(_ bytes: Int) { _ = put(.consumed(bytes), bytes: 0) }

    func played(_ bytes: Int, of request: RequestKey) { _ = put(.played(bytes, request), bytes: 0) }

    /// - Returns: whether there is room for more
    private func put(_ item: Item, bytes: Int) -> Bool {
        let (loop, hasRoom) = state.withLock { state in
            state.items.append(item)
            state.bytes += bytes
            return (state.schedule(), state.items.count < Congestion.count && state.bytes < Congestion.bytes)
        }
        wake(loop)
        return hasRoom
    }

    func attach(_ reader: NIOLoopBound<any Reader>) {
        wake(
            state.withLock { state in
                state.reader = reader
                state.isScheduled = false
                return state.schedule()
            })
    }

    func detach() { state.withLock { $0.reader = nil } }

    func take() -> Deque<Item> { state.withLock { $0.take() } }

    private func wake(_ eventLoop: (any EventLoop)?) {
        eventLoop?.execute { [self] in
            // The session may have moved on in the meantime: then the items go to its present event loop.
            let (reader, items) = state.withLock { state -> (NIOLoopBound<any Reader>?, Deque<Item>) in
                guard let reader = state.reader, reader.eventLoop === eventLoop else { return (nil, []) }
                return (reader, state.take())
            }
            reader?.value.receive(items)
        }
    }
}

/// The bounds of what waits for a session before its upstreams are paused; half of them resumes the upstreams.
enum Congestion {
    static let count = 256
    static let bytes = 262_144
    /// The bound of what comes all the same: as much as is on its way when an upstream is paused.
    static let most = 1 << 20
}

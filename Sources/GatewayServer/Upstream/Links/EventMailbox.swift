// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import NIOCore
import Synchronization

/// A queue that carries a session's events from the event loop of its upstreams to the session's own, while the two differ or the session
/// is being transferred.
final class EventMailbox: UpstreamEventSink, Sendable {
    enum Item: Sendable {
        case event(UpstreamEvent)
        case consumed(Int)
        case played(Int, RequestKey)
    }

    /// The receiver of the items, on the session's event loop.
    protocol Reader: AnyObject {
        func receive(_ items: Deque<Item>)
    }

    private struct State {
        var items: Deque<Item> = []
        var bytes = 0
        var reader: NIOLoopBound<any Reader>?
        var isScheduled = false

        /// Returns the event loop to wake; nil when a wake-up is already scheduled, nothing is queued, or no reader is attached.
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

    /// - Returns: whether the mailbox has room for more
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
            // If the session was transferred again in the meantime, the items stay for its new event loop.
            let (reader, items) = state.withLock { state -> (NIOLoopBound<any Reader>?, Deque<Item>) in
                guard let reader = state.reader, reader.eventLoop === eventLoop else { return (nil, []) }
                return (reader, state.take())
            }
            reader?.value.receive(items)
        }
    }
}

/// Limits of the events that wait for a session. At `count` or `bytes` its upstreams are paused; at half of both they resume.
enum Congestion {
    static let count = 256
    static let bytes = 262_144
    /// Hard limit in bytes, for the data in flight when an upstream is paused. Beyond it the request fails.
    static let hardLimit = 1 << 20
}

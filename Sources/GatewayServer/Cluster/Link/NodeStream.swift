// SPDX-License-Identifier: Apache-2.0

package import DequeModule
package import GatewayCore
package import NIOCore
import Synchronization

/// The reason for the end of a stream.
package enum StreamEnding: UInt8, Sendable, Hashable, CaseIterable {
    /// Complete: nothing is missing.
    case done = 0
    case cancelled = 1
    /// The other side sent something invalid.
    case fault = 2
    case shutDown = 3
    /// The peer has too many streams.
    case refused = 4
    /// More than ``NodeStream/hardLimit`` bytes waited to be sent.
    case overflow = 5
    /// The link between the nodes broke. Never sent.
    case linkLost = 255
}

/// A stream of messages between two nodes, in order, with back-pressure in both directions.
///
/// The link's event loop sends and receives; the owner uses the stream on an event loop of its own, which may change. At most a window of
/// bytes that the receiver hasn't consumed is in transit or in its queue.
package final class NodeStream: Sendable {
    /// The receiver of a stream's messages, on the event loop to which it is bound.
    package protocol Reader: AnyObject {
        /// Receives messages in order. Each one uses up the window until ``NodeStream/consumed(_:)``.
        func receive(_ messages: Deque<[UInt8]>)

        /// There is room again after ``NodeStream/send(_:)`` returned false.
        func hasRoom()

        /// The other side has closed the stream, or the link broke. Called once, after all messages; nothing follows.
        func closed(_ ending: StreamEnding)
    }

    fileprivate struct State {
        var outgoing: Deque<[UInt8]> = []
        /// The cost of the messages in ``outgoing``.
        var outgoingCost = 0
        /// The cost that may still be sent. One message may exceed it.
        var sendWindow: Int
        var isFlushScheduled = false
        /// Whether `send` returned false, and the reader wasn't told about room since.
        var isFull = false
        /// Whether ``Reader/hasRoom()`` is due.
        var hasRoomNews = false
        /// The local close, which is sent after ``outgoing``.
        var closing: StreamEnding?

        var incoming: Deque<[UInt8]> = []
        /// The cost that was received, but not granted again.
        var unconsumed = 0
        /// The part of ``unconsumed`` that the reader has consumed.
        var consumed = 0
        var isCreditScheduled = false
        var reader: NIOLoopBound<any Reader>?
        var isDeliveryScheduled = false
        /// The end by the peer or the link.
        var ending: StreamEnding?

        /// Returns the event loop to wake; nil when a wake-up is already scheduled, there is no news, or no reader is attached.
        mutating func scheduleDelivery() -> (any EventLoop)? {
            guard !isDeliveryScheduled, let reader, !incoming.isEmpty || hasRoomNews || ending != nil else { return nil }
            isDeliveryScheduled = true
            return reader.eventLoop
        }
    }

    package let peer: ULID
    package let number: UInt64
    let window: Int
    private let link: NIOLoopBound<NodeLinkHandler>
    private let state: Mutex<State>

    /// Maximum cost of messages that wait to be sent. Beyond it the stream is closed.
    package static let hardLimit = 16 << 20

    init(peer: ULID, number: UInt64, window: Int, link: NIOLoopBound<NodeLinkHandler>) {
        self.peer = peer
        self.number = number
        self.window = window
        self.link = link
        state = Mutex(State(sendWindow: window))
    }

    /// Bytes of the window that a message uses up. Small messages cost more than their bytes, since each one also needs memory.
    package static func cost(of message: [UInt8]) -> Int { message.count + 32 }

    // MARK: The owner

    /// Sends a message of at most ``NodeFrame/maximumPayload`` bytes. Dropped if the stream is closed.
    ///
    /// - Returns: false when a window or more of messages waits: the caller should stop until ``Reader/hasRoom()``
    @discardableResult
    package func send(_ message: [UInt8]) -> Bool {
        let (mustFlush, hasRoom) = state.withLock { state -> (Bool, Bool) in
            guard state.ending == nil, state.closing == nil else { return (false, true) }
            state.outgoing.append(message)
            state.outgoingCost += Self.cost(of: message)
            if state.outgoingCost > Self.hardLimit || message.count > NodeFrame.maximumPayload { state.overflow() }
            if state.outgoingCost >= window { (state.isFull, state.hasRoomNews) = (true, false) }
            return (state.scheduleFlush(), !state.isFull)
        }
        if mustFlush { flushLater() }
        return hasRoom
    }

    /// Allows the sender to send more, after `cost` of the received messages (see ``cost(of:)``) was consumed.
    package func consumed(_ cost: Int) {
        let mustGrant = state.withLock { state -> Bool in
            state.consumed = min(state.unconsumed, state.consumed + max(0, cost))
            guard !state.isCreditScheduled, state.consumed >= window / 4, state.ending == nil, state.closing == nil else { return false }
            state.isCreditScheduled = true
            return true
        }
        if mustGrant { link.eventLoop.execute { [self] in link.value.grant(self) } }
    }

    /// Attaches a reader, which receives everything that wasn't delivered yet.
    package func attach(_ reader: NIOLoopBound<any Reader>) {
        wake(
            state.withLock { state in
                state.reader = reader
                state.isDeliveryScheduled = false
                return state.scheduleDelivery()
            })
    }

    /// Detaches the reader. Messages stay for the next one; the window limits them.
    package func detach() { state.withLock { $0.reader = nil } }

    /// Calls ``Reader/hasRoom()`` soon, as an event-loop task of its own, unless there is no room.
    package func wakeReader() {
        wake(
            state.withLock { state in
                guard !state.isFull else { return nil }
                state.hasRoomNews = true
                return state.scheduleDelivery()
            })
    }

    /// Closes the stream in both directions after the messages that were sent. The reader is released and called no more.
    package func close(_ ending: StreamEnding) {
        let mustFlush = state.withLock { state -> Bool in
            state.reader = nil
            state.incoming = []
            guard state.ending == nil, state.closing == nil else { return false }
            state.closing = ending
            return state.scheduleFlush()
        }
        if mustFlush { flushLater() }
    }

    private func flushLater() { link.eventLoop.execute { [self] in link.value.flush(self) } }

    private func wake(_ eventLoop: (any EventLoop)?) {
        eventLoop?.execute { [self] in
            // If the owner moved in the meantime, the messages stay for its new event loop.
            let (reader, messages, hasRoom) = state.withLock { state -> (NIOLoopBound<any Reader>?, Deque<[UInt8]>, Bool) in
                guard let reader = state.reader, reader.eventLoop === eventLoop else { return (nil, [], false) }
                defer { (state.incoming, state.hasRoomNews, state.isDeliveryScheduled) = ([], false, false) }
                return (reader, state.incoming, state.hasRoomNews)
            }
            guard let reader else { return }
            if !messages.isEmpty { reader.value.receive(messages) }
            if hasRoom { reader.value.hasRoom() }
            // `receive` may have detached or replaced the reader.
            let ended = state.withLock { state -> (NIOLoopBound<any Reader>, StreamEnding)? in
                guard let reader = state.reader, reader.eventLoop === eventLoop, state.incoming.isEmpty, let ending = state.ending
                else { return nil }
                state.reader = nil
                return (reader, ending)
            }
            if let (reader, ending) = ended { reader.value.closed(ending) }
        }
    }

    // MARK: The link, on its event loop

    /// The messages that may be sent now, and the end after the last one.
    func takeOutgoing() -> (messages: [[UInt8]], closing: StreamEnding?) {
        let (messages, closing, loop) = state.withLock { state -> ([[UInt8]], StreamEnding?, (any EventLoop)?) in
            state.isFlushScheduled = false
            var messages: [[UInt8]] = []
            while state.sendWindow > 0, let message = state.outgoing.popFirst() {
                let cost = Self.cost(of: message)
                state.sendWindow -= cost
                state.outgoingCost -= cost
                messages.append(message)
            }
            if state.isFull, state.outgoingCost <= window / 2 {
                state.isFull = false
                state.hasRoomNews = true
            }
            return (messages, state.outgoing.isEmpty ? state.closing : nil, state.scheduleDelivery())
        }
        wake(loop)
        return (messages, closing)
    }

    /// Handles credit from the peer.
    ///
    /// - Returns: false if the window would exceed its size
    func add(credit: Int) -> Bool {
        state.withLock { state in
            guard credit > 0, credit <= window - min(state.sendWindow, window) else { return false }
            state.sendWindow += credit
            return true
        }
    }

    /// Handles a message from the peer.
    ///
    /// - Returns: false if the peer has ignored the window
    func receive(_ message: [UInt8]) -> Bool {
        let (isAllowed, loop) = state.withLock { state -> (Bool, (any EventLoop)?) in
            guard state.unconsumed < window else { return (false, nil) }
            state.unconsumed += Self.cost(of: message)
            // After a local close nothing is read any more.
            if state.closing == nil { state.incoming.append(message) }
            return (true, state.scheduleDelivery())
        }
        wake(loop)
        return isAllowed
    }

    /// Returns the cost that the reader has consumed since the last call.
    func takeConsumed() -> Int {
        state.withLock { state in
            defer { state.consumed = 0 }
            state.isCreditScheduled = false
            state.unconsumed -= state.consumed
            return state.consumed
        }
    }

    /// Handles the end by the peer or the link.
    func end(_ ending: StreamEnding) {
        wake(
            state.withLock { state in
                guard state.ending == nil else { return nil }
                state.ending = ending
                state.outgoing = []
                state.outgoingCost = 0
                return state.scheduleDelivery()
            })
    }
}

extension NodeStream.State {
    /// Returns whether a flush has to be scheduled.
    fileprivate mutating func scheduleFlush() -> Bool {
        guard !isFlushScheduled else { return false }
        isFlushScheduled = true
        return true
    }

    /// Drops everything that waits and closes the stream.
    fileprivate mutating func overflow() {
        (outgoing, outgoingCost) = ([], 0)
        closing = .overflow
    }
}

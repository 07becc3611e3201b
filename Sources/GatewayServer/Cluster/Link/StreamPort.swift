// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import NIOCore
import Synchronization

/// A stream between nodes as tasks use it: messages are sent and received one at a time, and both wait.
final class StreamPort: Sendable {
    /// The stream was closed by the other side, or the link broke.
    struct Closed: Error {
        let ending: StreamEnding
    }

    private struct State {
        var incoming: Deque<[UInt8]> = []
        var ending: StreamEnding?
        /// Whether the last message filled the window.
        var isFull = false
        var receiver: CheckedContinuation<Void, Never>?
        var sender: CheckedContinuation<Void, Never>?

        mutating func takeWaiters() -> [CheckedContinuation<Void, Never>] {
            [receiver.take(), sender.take()].compactMap(\.self)
        }
    }

    private let stream: NodeStream
    private let state = Mutex(State())

    /// - Parameter eventLoop: any event loop, on which the stream's messages arrive
    init(_ stream: NodeStream, on eventLoop: any EventLoop) {
        self.stream = stream
        eventLoop.execute { [self] in stream.attach(NIOLoopBound(Reader(port: self), eventLoop: eventLoop)) }
    }

    /// The end of the stream; nil while it is open.
    var ending: StreamEnding? { state.withLock { $0.ending } }

    /// Returns the next message; nil at the end of the stream. Closes the stream if the task is cancelled.
    func next() async -> [UInt8]? {
        await withTaskCancellationHandler {
            while true {
                let (message, isOver) = state.withLock { ($0.incoming.popFirst(), $0.ending != nil) }
                if let message {
                    stream.consumed(NodeStream.cost(of: message))
                    return message
                }
                if isOver { return nil }
                await withCheckedContinuation { continuation in
                    let isDue = state.withLock { state in
                        guard state.incoming.isEmpty, state.ending == nil else { return true }
                        state.receiver = continuation
                        return false
                    }
                    if isDue { continuation.resume() }
                }
            }
        } onCancel: {
            close(.cancelled)
        }
    }

    /// Sends a message, and waits while the window is full.
    func send(_ message: [UInt8]) async throws(Closed) {
        if let ending { throw Closed(ending: ending) }
        state.withLock { $0.isFull = true }
        if stream.send(message) {
            state.withLock { $0.isFull = false }
            return
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDue = state.withLock { state in
                    guard state.isFull, state.ending == nil else { return true }
                    state.sender = continuation
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            close(.cancelled)
        }
        if let ending { throw Closed(ending: ending) }
    }

    /// Closes the stream after the messages that were sent.
    func close(_ ending: StreamEnding) {
        stream.close(ending)
        end(ending)
    }

    private func end(_ ending: StreamEnding) {
        let waiters = state.withLock { state in
            if state.ending == nil { state.ending = ending }
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.resume() }
    }

    private final class Reader: NodeStream.Reader {
        private let port: StreamPort

        init(port: StreamPort) { self.port = port }

        func receive(_ messages: Deque<[UInt8]>) {
            port.state.withLock { state in
                state.incoming += messages
                return state.receiver.take()
            }?.resume()
        }

        func hasRoom() {
            port.state.withLock { state in
                state.isFull = false
                return state.sender.take()
            }?.resume()
        }

        func closed(_ ending: StreamEnding) { port.end(ending) }
    }
}

/// Closes a stream when nothing refers to the lease any more, such as the body of a response that is never written.
final class StreamLease: Sendable {
    let port: StreamPort

    init(_ port: StreamPort) { self.port = port }

    deinit { port.close(.cancelled) }
}

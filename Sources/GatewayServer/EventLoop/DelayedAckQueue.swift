// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore

/// A connection whose acknowledgement may be delayed by a ``DelayedAckQueue``.
protocol DelayedAckSocket: AnyObject {
    /// The position in the queue; nil when the connection isn't in it. Set by the queue only.
    var delayedAckIndex: Int? { get set }
    func flushDelayedAck()
}

/// The connections whose acknowledgements are delayed to share a write and a TLS record with a response. Each connection has its own
/// deadline; all share one timer.
final class DelayedAckQueue {
    private let eventLoop: any EventLoop
    private let now: () -> Instant
    /// Unordered.
    private var waiting: [(socket: any DelayedAckSocket, deadline: Instant)] = []
    private var timer: (task: Scheduled<Void>, deadline: Instant)?

    /// The delay of the timer after the earliest deadline, so that one run handles many connections.
    private static let slack = Instant.Duration.milliseconds(1)

    init(eventLoop: any EventLoop, now: @escaping () -> Instant) {
        self.eventLoop = eventLoop
        self.now = now
    }

    func append(_ socket: any DelayedAckSocket, until deadline: Instant) {
        socket.delayedAckIndex = waiting.count
        waiting.append((socket, deadline))
        schedule(deadline)
    }

    /// Removes a connection whose acknowledgement was written or dropped.
    func remove(_ socket: any DelayedAckSocket) {
        guard let index = socket.delayedAckIndex else { return }
        socket.delayedAckIndex = nil
        let last = waiting.removeLast()
        guard index < waiting.count else { return }
        waiting[index] = last
        last.socket.delayedAckIndex = index
    }

    private func schedule(_ deadline: Instant) {
        if let timer {
            guard deadline - timer.deadline < -Self.slack else { return }
            timer.task.cancel()
        }
        let wait = max(.zero, deadline - now()) + Self.slack
        timer = (eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait.nanoseconds)) { [self] in run() }, deadline)
    }

    private func run() {
        timer = nil
        let now = now()
        var next: Instant?
        // A flushed connection removes itself, and the last one moves to its index.
        var index = 0
        while index < waiting.count {
            let (socket, deadline) = waiting[index]
            if deadline <= now {
                socket.flushDelayedAck()
                // A closing connection may not have removed itself.
                if index < waiting.count, waiting[index].socket === socket { remove(socket) }
            } else {
                next = next.map { min($0, deadline) } ?? deadline
                index += 1
            }
        }
        if let next { schedule(next) }
    }
}

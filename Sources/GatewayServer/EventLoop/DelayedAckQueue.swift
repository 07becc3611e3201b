import GatewayCore
import NIOCore

/// A connection whose acknowledgement can wait in a ``DelayedAckQueue``.
protocol DelayedAckSocket: AnyObject {
    /// The position in the queue; nil when the connection isn't in it. Set by the queue only.
    var delayedAckIndex: Int? { get set }
    func flushDelayedAck()
}

/// The connections whose acknowledgements wait for a response to share a write and a TLS record with: each up to its own deadline, all of
/// them under one timer.
final class DelayedAckQueue {
    private let eventLoop: any EventLoop
    private let now: () -> Instant
    /// In no order.
    private var waiting: [(socket: any DelayedAckSocket, deadline: Instant)] = []
    private var timer: (task: Scheduled<Void>, deadline: Instant)?

    /// The time by which the timer fires late, so that it serves many at a time.
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

    /// Removes a connection whose acknowledgement was written, or never will be.
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
        // A flushed connection removes itself, and the last one moves into its place.
        var index = 0
        while index < waiting.count {
            let (socket, deadline) = waiting[index]
            if deadline <= now {
                socket.flushDelayedAck()
                // A connection that is about to end may not have removed itself.
                if index < waiting.count, waiting[index].socket === socket { remove(socket) }
            } else {
                next = next.map { min($0, deadline) } ?? deadline
                index += 1
            }
        }
        if let next { schedule(next) }
    }
}

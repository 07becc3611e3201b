import GatewayCore
import NIOCore

/// Whose acknowledgements wait for an answer to go with, in one write and one TLS record: each as long as it may, all of them under one timer.
final class GatheringQueue {
    private let eventLoop: any EventLoop
    private let now: () -> Instant
    /// In no order.
    private var waiting: [(socket: any GatheringSocket, deadline: Instant)] = []
    private var timer: (task: Scheduled<Void>, deadline: Instant)?

    /// The timer goes off this late, so that it does for many at a time.
    private static let slack: Int64 = 1_000_000

    init(eventLoop: any EventLoop, now: @escaping () -> Instant) {
        self.eventLoop = eventLoop
        self.now = now
    }

    func append(_ socket: any GatheringSocket, until deadline: Instant) {
        socket.gatheringIndex = waiting.count
        waiting.append((socket, deadline))
        schedule(deadline)
    }

    /// It has been written, or never will be.
    func remove(_ socket: any GatheringSocket) {
        guard let index = socket.gatheringIndex else { return }
        socket.gatheringIndex = nil
        let last = waiting.removeLast()
        guard index < waiting.count else { return }
        waiting[index] = last
        last.socket.gatheringIndex = index
    }

    private func schedule(_ deadline: Instant) {
        if let timer {
            guard deadline.nanoseconds(since: timer.deadline) < -Self.slack else { return }
            timer.task.cancel()
        }
        let wait = max(0, deadline.nanoseconds(since: now())) + Self.slack
        timer = (eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait)) { [weak self] in self?.run() }, deadline)
    }

    private func run() {
        timer = nil
        let now = now()
        var next: Instant?
        // A socket that is flushed takes itself out, and the last one comes into its place.
        var index = 0
        while index < waiting.count {
            let (socket, deadline) = waiting[index]
            if deadline <= now {
                socket.flushGathered()
                // One that is about to end may not.
                if index < waiting.count, waiting[index].socket === socket { remove(socket) }
            } else {
                next = next.map { min($0, deadline) } ?? deadline
                index += 1
            }
        }
        if let next { schedule(next) }
    }
}

/// What can wait in a ``GatheringQueue``.
protocol GatheringSocket: AnyObject {
    /// Where it is in the queue; nil when it isn't. The queue's.
    var gatheringIndex: Int? { get set }
    func flushGathered()
}

import NIOCore

/// Whose acknowledgements wait for an answer to go with, in one write and one TLS record: for so long at most, all of them under one timer.
///
/// A write of its own costs as much as everything else that is done for a short text.
final class GatheringQueue {
    /// Longer than a quick upstream takes, and nothing that a person would notice.
    static let longest = TimeAmount.milliseconds(5)

    private let eventLoop: any EventLoop
    private var waiting: [any GatheringSocket] = []
    private var isScheduled = false

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func append(_ socket: any GatheringSocket) {
        waiting.append(socket)
        guard !isScheduled else { return }
        isScheduled = true
        eventLoop.assumeIsolated().scheduleTask(in: Self.longest) { [weak self] in self?.run() }
    }

    private func run() {
        isScheduled = false
        let due = waiting
        waiting = []
        for socket in due { socket.flushGathered() }
    }
}

/// What can wait in a ``GatheringQueue``.
protocol GatheringSocket: AnyObject {
    /// Does nothing if what waited has gone in the meantime.
    func flushGathered()
}

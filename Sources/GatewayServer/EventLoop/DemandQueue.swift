import DequeModule
import GatewayCore
import NIOCore

/// The sessions of one event loop whose upstreams may go on, taken in turns.
///
/// What tasks of an event loop add to it runs before the loop looks at its sockets again: a session that went on by adding itself would keep
/// everyone else out for as long as its client takes what comes. So helpings are given for ``slice`` at most, and then the sockets are served.
final class HelpingQueue {
    /// Nanoseconds of helpings in a row: about what another client's message waits.
    static let slice: Int64 = 500_000
    /// After a slice. Any time that isn't over yet makes the loop look at its sockets.
    static let pause = TimeAmount.microseconds(20)

    private let eventLoop: any EventLoop
    private var waiting: Deque<SessionDriver> = []
    private var isScheduled = false

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Gives `driver` a helping after the turn in progress, and not from inside it. The client's next bytes, a cancel perhaps, and other
    /// connections wait a ``slice`` at most.
    func append(_ driver: SessionDriver) {
        waiting.append(driver)
        guard !isScheduled else { return }
        isScheduled = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.run() }
    }

    private func run() {
        let end = LoopClock.monotonicNanoseconds() + Self.slice
        while let driver = waiting.popFirst() {
            driver.help()
            guard LoopClock.monotonicNanoseconds() < end else { break }
        }
        isScheduled = !waiting.isEmpty
        guard isScheduled else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.pause) { bound.value.run() }
    }
}

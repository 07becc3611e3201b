import DequeModule
import GatewayCore
import NIOCore

/// A session that asks its upstream for more events.
protocol DemandSource: AnyObject {
    func demandEvents()
}

/// The sessions of one event loop whose upstreams may send more events, served in turns.
///
/// Tasks that a task of an event loop adds run before the loop looks at its sockets again: a session that added itself would keep all others
/// out for as long as its client takes events. So demand is issued for ``slice`` at most, and then the sockets are served.
final class DemandQueue {
    /// The time of demand in a row: about the time that another client's message waits.
    static let slice = Instant.Duration.nanoseconds(500_000)
    /// The pause after a slice. Any time that isn't over yet makes the loop look at its sockets.
    static let pause = TimeAmount.microseconds(20)

    private let eventLoop: any EventLoop
    private var waiting: Deque<any DemandSource> = []
    private var isScheduled = false

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Has `source` issue its demand after the turn in progress, and not from inside it. The client's next bytes, a cancel perhaps, and
    /// other connections wait a ``slice`` at most.
    func append(_ source: any DemandSource) {
        waiting.append(source)
        guard !isScheduled else { return }
        isScheduled = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.run() }
    }

    private func run() {
        let end = LoopClock.monotonicNanoseconds() + Self.slice.nanoseconds
        while let source = waiting.popFirst() {
            source.demandEvents()
            guard LoopClock.monotonicNanoseconds() < end else { break }
        }
        isScheduled = !waiting.isEmpty
        guard isScheduled else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.pause) { bound.value.run() }
    }
}

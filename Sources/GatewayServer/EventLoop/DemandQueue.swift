// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import NIOCore

/// A session that can issue demand for more events to its upstream.
protocol DemandSource: AnyObject {
    func demandEvents()
}

/// The sessions of one event loop that wait to issue demand to their upstreams, in FIFO order.
///
/// An event loop runs tasks that a task submits before it polls its sockets again: a session that resubmitted itself would block all others
/// while its client receives events. Therefore demand is issued for ``slice`` at most before the loop polls its sockets.
final class DemandQueue {
    /// The longest time of issuing demand without polling sockets: roughly the delay of another client's message.
    static let slice = Instant.Duration.nanoseconds(500_000)
    /// The pause after a slice. Any delay greater than zero makes the loop poll its sockets.
    static let pause = TimeAmount.microseconds(20)

    private let eventLoop: any EventLoop
    private var waiting: Deque<any DemandSource> = []
    private var isScheduled = false

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Schedules the demand of `source` after the current input. The client's next bytes, such as a cancellation, and other connections
    /// wait for one ``slice`` at most.
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

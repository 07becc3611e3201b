// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A pass over many elements on one event loop, in slices: between two slices the event loop handles messages.
///
/// A pass over 10,000 sessions in one piece would delay every message of the event loop by several milliseconds.
final class SlicedPass<Element> {
    /// The maximum duration of a slice in nanoseconds, apart from the last ``batch`` elements.
    static var slice: Int64 { 500_000 }
    /// The pause after a slice. NIO runs tasks that are due before it looks for input, so the next slice must not be due at once.
    static var pause: TimeAmount { .milliseconds(1) }
    /// The number of elements between two looks at the clock.
    static var batch: Int { 8 }

    private let elements: [Element]
    private let eventLoop: any EventLoop
    private let clock: () -> Int64
    private let visit: (Element) -> Void
    private let completion: () -> Void
    private var next = 0

    /// - Parameters:
    ///   - elements: visited in this order
    ///   - clock: returns the time in nanoseconds
    ///   - completion: called once, after the last element
    private init(
        over elements: [Element], on eventLoop: any EventLoop, clock: @escaping () -> Int64, visit: @escaping (Element) -> Void,
        completion: @escaping () -> Void
    ) {
        self.elements = elements
        self.eventLoop = eventLoop
        self.clock = clock
        self.visit = visit
        self.completion = completion
    }

    /// Begins a pass. Must be called on the event loop.
    static func run(
        over elements: [Element], on eventLoop: any EventLoop, clock: @escaping () -> Int64 = LoopClock.monotonicNanoseconds,
        visit: @escaping (Element) -> Void, completion: @escaping () -> Void
    ) {
        SlicedPass(over: elements, on: eventLoop, clock: clock, visit: visit, completion: completion).visitSlice()
    }

    private func visitSlice() {
        let end = clock() + Self.slice
        while next < elements.count {
            let last = min(elements.count, next + Self.batch)
            while next < last {
                visit(elements[next])
                next += 1
            }
            guard next < elements.count, clock() >= end else { continue }
            eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { self.visitSlice() }
            return
        }
        completion()
    }
}

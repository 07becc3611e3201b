// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Permit queue") struct PermitQueueTests {
    /// A queue behind a reference, so that it can be mutated in an expectation.
    private final class Queue {
        private var value: PermitQueue

        init(limit: Int, capacity: Int) { value = PermitQueue(limit: limit, capacity: capacity) }

        var hasFreePermit: Bool { value.hasFreePermit }
        var held: Int { value.held }
        var waiting: Int { value.waiting }
        var peaks: [Int] { [value.peakHeld, value.peakWaiting] }
        func acquire(_ ticket: UInt64) -> PermitQueue.Acquisition { value.acquire(ticket) }
        func release() -> UInt64? { value.release() }
        func cancel(_ ticket: UInt64) -> Bool { value.cancel(ticket) }
    }

    @Test func `the peaks are the highest numbers of held permits and queued requests`() {
        let queue = Queue(limit: 2, capacity: 2)
        #expect(queue.peaks == [0, 0])
        for ticket: UInt64 in 1...5 { _ = queue.acquire(ticket) }
        #expect(queue.peaks == [2, 2])
        for _ in 0..<4 { _ = queue.release() }
        #expect((queue.held, queue.waiting) == (0, 0))
        #expect(queue.peaks == [2, 2])
    }

    @Test func `requests acquire permits up to the limit, then are queued, then are rejected`() {
        let queue = Queue(limit: 2, capacity: 2)
        #expect(queue.acquire(1) == .acquired)
        #expect(queue.acquire(2) == .acquired)
        #expect(!queue.hasFreePermit)
        #expect(queue.acquire(3) == .queued)
        #expect(queue.acquire(4) == .queued)
        #expect(queue.acquire(5) == .rejected)
        #expect((queue.held, queue.waiting) == (2, 2))
        #expect(queue.release() == 3)
        #expect(queue.release() == 4)
        #expect(queue.release() == nil)
        #expect(queue.release() == nil)
        #expect((queue.held, queue.waiting) == (0, 0))
    }

    @Test func `a cancelled request isn't granted a permit`() {
        let queue = Queue(limit: 1, capacity: 3)
        for ticket in 1...4 as ClosedRange<UInt64> { _ = queue.acquire(ticket) }
        #expect(queue.cancel(3))
        #expect(!queue.cancel(3))
        #expect(queue.waiting == 2)
        #expect(queue.release() == 2)
        // Request 2 was granted its permit before the cancellation, and has to release the permit.
        #expect(!queue.cancel(2))
        #expect(queue.release() == 4)
        #expect(queue.release() == nil)
        #expect(queue.acquire(5) == .acquired)
    }

    @Test func `a new request doesn't overtake queued ones`() {
        let queue = Queue(limit: 1, capacity: 1)
        _ = queue.acquire(1)
        _ = queue.acquire(2)
        #expect(queue.acquire(3) == .rejected)
        #expect(queue.release() == 2)
        #expect(queue.acquire(4) == .queued)
    }

    @Test func `without queue capacity, a request is rejected when no permit is free`() {
        let queue = Queue(limit: 1, capacity: 0)
        #expect(queue.acquire(1) == .acquired)
        #expect(queue.acquire(2) == .rejected)
    }
}

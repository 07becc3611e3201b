// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The bounded queue of spans that wait to be exported. Spans of a message that don't fit are dropped together and counted.
package struct SpanQueue: Sendable {
    private var spans: Deque<TraceSpan> = []
    private let capacity: Int
    /// Spans dropped since startup.
    package private(set) var dropped: UInt64 = 0
    /// Spans that are being exported; they still count toward the capacity.
    private var inFlight = 0

    package init(capacity: Int) { self.capacity = max(1, capacity) }

    package var count: Int { spans.count + inFlight }

    /// - Returns: whether the spans fit
    @discardableResult
    package mutating func append(_ new: [TraceSpan]) -> Bool {
        guard new.count <= capacity - count else {
            dropped &+= UInt64(new.count)
            return false
        }
        spans.append(contentsOf: new)
        return true
    }

    /// Removes the first spans for an export.
    package mutating func take(_ limit: Int) -> [TraceSpan] {
        let batch = Array(spans.prefix(limit))
        spans.removeFirst(batch.count)
        inFlight = batch.count
        return batch
    }

    /// Ends the export of the spans that ``take(_:)`` has returned.
    ///
    /// - Parameter lost: whether they weren't received
    package mutating func finish(lost: Bool) {
        if lost { dropped &+= UInt64(inFlight) }
        inFlight = 0
    }
}

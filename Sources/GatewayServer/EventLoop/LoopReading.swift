// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The metrics of one event loop at one moment, for other threads.
package struct LoopReading: Sendable {
    package var metrics = LoopMetrics()
    /// The memory usage of the loop's sessions, in bytes.
    package var memoryBytes = 0
    /// The same by ``MemoryPart/ordinal``, as of the last survey of the sessions.
    package var memoryParts = [Int](repeating: 0, count: MemoryPart.allCases.count)
    /// The share of the last second in which the loop's thread ran, 0 to 1.
    package var utilization = 0.0

    package init() {}

    /// Reads the metrics. Must be called on the event loop.
    init(of loop: EventLoopState) {
        // Added rather than copied, so that the loop's own counters stay the only reference to their memory.
        metrics.add(loop.metrics)
        memoryBytes = loop.publishedMemory
        memoryParts = loop.gauges.memoryParts
        utilization = loop.gauges.utilization
    }

    /// Returns the sum of the metrics.
    package static func total(_ readings: [LoopReading]) -> LoopMetrics {
        var total = LoopMetrics()
        for reading in readings { total.add(reading.metrics) }
        return total
    }
}

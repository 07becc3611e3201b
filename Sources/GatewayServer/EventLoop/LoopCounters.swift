// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The figures of ``GatewaySnapshot`` among the metrics of one event loop, or of all loops together.
package struct LoopCounters: Sendable {
    package var accepted: UInt64
    package var rejected: UInt64
    package var memoryBytes: Int64
    package var messagesIn: UInt64
    package var messagesOut: UInt64
    package var bytesIn: UInt64
    package var bytesOut: UInt64
    package var missedPongs: UInt64
    package var errors: [ErrorCode: UInt64] = [:]
    package var closes: [UInt16: UInt64] = [:]

    /// - Parameter memoryBytes: the memory usage of the sessions
    package init(_ metrics: LoopMetrics, memoryBytes: Int) {
        accepted = metrics.accepted
        rejected = metrics.rejections.total
        self.memoryBytes = Int64(memoryBytes)
        messagesIn = metrics.inbound.total
        messagesOut = metrics.outbound.total
        bytesIn = metrics.bytesIn
        bytesOut = metrics.bytesOut
        missedPongs = metrics.missedPongs
        for (code, count) in metrics.errors.all where count > 0 { errors[code] = count }
        for closes in metrics.closes {
            for (code, count) in closes.all where count > 0 { self.closes[code.code, default: 0] &+= count }
        }
    }
}

extension EventLoopState {
    /// The figures of this event loop.
    package var counters: LoopCounters { LoopCounters(metrics, memoryBytes: publishedMemory) }
}

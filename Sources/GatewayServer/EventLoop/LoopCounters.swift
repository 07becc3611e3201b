// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The counters of one event loop, summed over all loops on request. Plain integers, because only one loop accesses them.
package struct LoopCounters: Sendable {
    package var accepted: UInt64 = 0
    package var rejected: UInt64 = 0
    package var memoryBytes: Int64 = 0
    package var messagesIn: UInt64 = 0
    package var messagesOut: UInt64 = 0
    package var bytesIn: UInt64 = 0
    package var bytesOut: UInt64 = 0
    package var missedPongs: UInt64 = 0
    package var errors: [ErrorCode: UInt64] = [:]
    package var closes: [UInt16: UInt64] = [:]

    package init() {}

    package mutating func add(_ other: LoopCounters) {
        accepted &+= other.accepted
        rejected &+= other.rejected
        memoryBytes &+= other.memoryBytes
        messagesIn &+= other.messagesIn
        messagesOut &+= other.messagesOut
        bytesIn &+= other.bytesIn
        bytesOut &+= other.bytesOut
        missedPongs &+= other.missedPongs
        errors.merge(other.errors, uniquingKeysWith: &+)
        closes.merge(other.closes, uniquingKeysWith: &+)
    }
}

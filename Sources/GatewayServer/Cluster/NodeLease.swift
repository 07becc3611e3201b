// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The lease of this node, read for each input of a connection.
package final class NodeLease: Sendable {
    private let end = Atomic<Int64>(.max)

    package init() {}

    /// Whether the lease hasn't ended. Always true outside of a cluster.
    package var isHeld: Bool {
        let end = end.load(ordering: .relaxed)
        return end == .max || LoopClock.monotonicNanoseconds() < end
    }

    /// - Parameter end: in nanoseconds of the monotonic clock
    func set(_ end: Int64) { self.end.store(end, ordering: .relaxed) }
}

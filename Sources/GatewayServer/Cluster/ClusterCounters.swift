// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The counters of a node's work in its cluster, since the start of the process.
package final class ClusterCounters: Sendable {
    /// Sessions of dead nodes that were taken over.
    let claimed = Atomic<UInt64>(0)
    /// Sessions that other nodes handed over to this one.
    let brought = Atomic<UInt64>(0)
    /// Sessions that this node handed over.
    let handedOver = Atomic<UInt64>(0)
    /// Sessions that were dropped because another node owns them.
    let fenced = Atomic<UInt64>(0)
    /// Sessions that were dropped because the store lost them.
    let gone = Atomic<UInt64>(0)
    /// Requests to other nodes.
    let requests = Atomic<UInt64>(0)
    /// Requests to other nodes without a response.
    let failures = Atomic<UInt64>(0)

    package init() {}
}

/// The state of a node's cluster for the metrics.
package struct ClusterReading: Sendable, Hashable {
    /// The name of this node.
    package var node: String
    package var id: String
    /// The nodes with a lease, including this one.
    package var nodes: Int
    package var claimed: UInt64
    package var brought: UInt64
    package var handedOver: UInt64
    package var fenced: UInt64
    package var gone: UInt64
    package var requests: UInt64
    package var failures: UInt64

    /// The values of the label `event`, in the order of ``sessions``.
    static let sessionEvents = ["claimed", "brought", "handed_over", "fenced", "gone"]

    var sessions: [UInt64] { [claimed, brought, handedOver, fenced, gone] }
}

extension SessionCluster {
    package var reading: ClusterReading {
        let record = directory.record
        return ClusterReading(
            node: record.name, id: "\(record.id)", nodes: directory.others.count + 1, claimed: counters.claimed.load(ordering: .relaxed),
            brought: counters.brought.load(ordering: .relaxed), handedOver: counters.handedOver.load(ordering: .relaxed),
            fenced: counters.fenced.load(ordering: .relaxed), gone: counters.gone.load(ordering: .relaxed),
            requests: counters.requests.load(ordering: .relaxed), failures: counters.failures.load(ordering: .relaxed))
    }
}

// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The progress of asking a cluster for the masters of its slots.
struct ClusterDiscovery {
    var isRunning = false
    /// Whether the slots may have changed since the running question was sent.
    var isRepeated = false
    var lastStart = NIODeadline.distantPast
    /// The number of failed rounds since the last success.
    var failures = 0
    /// Why the slots were never known.
    var failure: String?

    /// The minimum time between two questions.
    static let interval = TimeAmount.milliseconds(100)
}

// SPDX-License-Identifier: Apache-2.0

/// Pages of several nodes.
extension UndeliveredPage {
    /// Adds the pages of other nodes for the same request. Each has the first entries of its node, so the first ones of all are complete.
    mutating func add(_ others: [UndeliveredPage], limit: Int) {
        let hasMore = cursor != nil || others.contains { $0.cursor != nil }
        let all = (undelivered + others.flatMap(\.undelivered)).sorted { $0.id < $1.id }
        undelivered = Array(all.prefix(limit))
        cursor = hasMore || all.count > limit ? undelivered.last?.id : nil
    }
}

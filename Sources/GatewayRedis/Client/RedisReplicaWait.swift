// SPDX-License-Identifier: Apache-2.0

/// The copies of a batch's writes that must exist before the batch completes.
package struct RedisReplicaWait: Sendable, Hashable {
    /// How many replicas must have received the writes.
    package var replicas: Int
    /// Whether the writes must be in the append-only file of the master (`WAITAOF`, Redis 7.2). Replicas then count if the writes are in theirs.
    package var includesDisk: Bool
    /// When the batch completes in any case.
    package var timeout: Duration

    package init(replicas: Int, timeout: Duration, includesDisk: Bool = false) {
        self.replicas = replicas
        self.includesDisk = includesDisk
        self.timeout = timeout
    }
}

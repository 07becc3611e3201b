// SPDX-License-Identifier: Apache-2.0

/// The results of the commands of a batch.
package struct RedisBatchResult: Sendable {
    /// One result for each command, in the order of the commands.
    package var results: [Result<RedisReply, RedisFailure>]
    /// How many replicas have received all writes of the batch: the minimum over the servers. nil if this wasn't asked for.
    package var replicas: Result<Int, RedisFailure>?

    /// Whether the writes of the batch are in the append-only file of each server; false unless this was asked for.
    package var isOnDisk = false

    /// The first failure, including errors that the server replied and a failure of the wait for replicas.
    package var failure: RedisFailure? {
        for case .failure(let failure) in results { return failure }
        if case .failure(let failure)? = replicas { return failure }
        return nil
    }
}

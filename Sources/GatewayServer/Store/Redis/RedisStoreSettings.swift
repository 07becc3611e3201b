// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import GatewayRedis

/// The settings of a ``RedisStore``.
package struct RedisStoreSettings: Sendable {
    package var redis: RedisSettings
    /// `store.urls` without secrets.
    package var name: String
    /// `store.prefix`.
    package var prefix = "parley:"
    /// The id of this process.
    package var node: ULID
    /// `store.acknowledge`.
    package var acknowledge = StoreDurability.memory
    /// `store.replicas`.
    package var replicas = 1
    /// `store.acknowledge_timeout`.
    package var acknowledgeTimeout = Duration.seconds(1)
    /// How long a session remains in the store when its owner is gone.
    package var sessionLifetime = Duration.seconds(3600)
    /// `reports.keep`.
    package var reportLifetime = Duration.seconds(30 * 86_400)

    package init(redis: RedisSettings, name: String, node: ULID) {
        self.redis = redis
        self.name = name
        self.node = node
    }

    /// How long the tokens of ended sessions are kept, in ms.
    static let endedTokenLifetime: Int64 = 86_400_000

    var sessionMilliseconds: Int64 { max(1, sessionLifetime.clampedNanoseconds / 1_000_000) }

    /// The time between two extensions of a session's time to live, in nanoseconds.
    var refreshInterval: Int64 { sessionLifetime.clampedNanoseconds / 4 }

    /// The wait of every batch for replicas; nil for none.
    var replicaWait: RedisReplicaWait? {
        acknowledge == .replicas ? RedisReplicaWait(replicas: replicas, timeout: acknowledgeTimeout) : nil
    }
}

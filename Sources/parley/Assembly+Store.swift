// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Logging
import NIOCore

/// The store of sessions, reports and usage.
extension Assembly {
    typealias Store = any SessionStore & ReportArchive & UsageArchive

    /// Returns the key of the shared store that signs minted tokens if none is configured; nil without such a store.
    static func storedKey(_ configuration: GatewayConfiguration, in store: (any SessionStore)?) async throws -> GeneratedTokenKey? {
        let auth = configuration.auth
        guard let store = store as? any SharedStore, auth.mode == .jwt, auth.secrets.isEmpty, auth.mintingKey == nil else { return nil }
        let proposed = try GeneratedTokenKey()
        let stored = try await store.mintingKey(proposing: proposed.keyID, pem: proposed.pem)
        return try GeneratedTokenKey(keyID: stored.keyID, pem: stored.pem)
    }

    /// Opens the store; returns nil if sessions are kept in memory.
    static func openStore(
        _ configuration: GatewayConfiguration, health: HealthRegistry, group: any EventLoopGroup
    ) async throws(StoreError) -> Store? {
        let logger = Logger(label: "parley.store")
        switch configuration.store.kind {
        case .memory:
            // Memory is always ready.
            health.set(.store, .ready)
            return nil
        case .sqlite:
            return try SQLiteStore(
                path: configuration.store.path, synchronous: configuration.store.synchronous, maximumBytes: configuration.store.maxBytes,
                health: health, logger: logger)
        case .redis:
            var generator = SystemRandomNumberGenerator()
            let node = ULID(unixMilliseconds: LoopClock.wallMilliseconds(), using: &generator)
            return try await RedisStore.open(
                try RedisStoreSettings(configuration, node: node), eventLoop: group.next(), health: health, logger: logger)
        }
    }
}

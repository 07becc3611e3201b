// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Logging
import NIOCore
import ServiceLifecycle

/// The cluster that gateways with a shared store form.
extension Assembly {
    /// Joins the cluster: announces this node, and prepares the links to the others.
    ///
    /// - Returns: nil unless the store is shared
    static func joinCluster(
        _ configuration: GatewayConfiguration, store: (any SessionStore)?, shared: SharedGateway, tokens: TokenAuthority,
        health: HealthRegistry, group: any EventLoopGroup
    ) async throws -> SessionCluster? {
        guard let store = store as? any SharedStore else { return nil }
        let logger = Logger(label: "parley.cluster")
        let settings = configuration.cluster
        var links = NodeLinkSettings(
            node: store.node, security: try NodeLinkSecurity(settings, now: LoopClock.wallMilliseconds() / 1000), listen: settings.listen)
        // A node that doesn't answer while its lease lasts is gone afterwards.
        let lease = settings.lease.clampedNanoseconds
        links.pingInterval = .nanoseconds(min(1_000_000_000, lease / 5))
        links.connectTimeout = .nanoseconds(min(5_000_000_000, lease))
        links.handshakeTimeout = links.connectTimeout
        let nodes = NodeLinks(links, group: group, logger: logger)
        let listening = try await nodes.start()
        let address = settings.advertise ?? listening
        let record = NodeRecord(
            name: settings.node.isEmpty ? "\(store.node)" : settings.node, id: store.node, address: address?.description ?? "",
            started: LoopClock.wallMilliseconds())
        let directory = NodeDirectory(
            record, lease: settings.lease, held: shared.lease, store: store, health: health, logger: logger,
            load: { shared.sessions.attached + shared.sessions.detached }, verify: { await store.verifyOwnership() },
            replaced: { shared.cluster?.loseAll() })
        let access = ClusterAccess(
            directory: directory, store: store, links: nodes, users: shared.access.users, tokens: tokens, usage: shared.usage,
            logger: logger)
        let cluster = SessionCluster(
            directory: directory, store: store, links: nodes, access: access, registry: shared.sessions,
            mailbox: { shared.mailbox($0) }, logger: logger)
        try await directory.start()
        let units = UnitStock(store)
        shared.global.share(units)
        units.fill(
            for: SessionPolicy(configuration).global, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds()))
        shared.join(cluster)
        return cluster
    }

    /// The services of the cluster. They stop after the gateway.
    static func services(of cluster: SessionCluster?) -> [ServiceGroupConfiguration.ServiceConfiguration] {
        guard let cluster else { return [] }
        return [.init(service: cluster.directory), .init(service: cluster.links), .init(service: cluster.access)]
    }

    /// Leaves the cluster once everything is committed: other nodes can then claim the sessions at once.
    static func leave(_ cluster: SessionCluster?) async {
        guard let cluster else { return }
        try? await cluster.store.purge()
        await cluster.directory.leave()
    }
}

// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore
import Hummingbird
import HummingbirdCore

/// A node as operators see it.
package struct NodeView: Sendable, Hashable, Codable {
    /// `cluster.node`; the name of the machine outside of a cluster.
    package var name: String
    /// The id of the process; nil outside of a cluster.
    package var id: String?
    /// The address of the link between nodes; nil without one.
    package var address: String?
    /// The number of sessions, attached and detached.
    package var sessions: Int
    /// Unix milliseconds.
    package var startedAt: Int64
    /// Whether this node has responded.
    package var isSelf: Bool

    package init(name: String, id: String?, address: String?, sessions: Int, startedAt: Int64, isSelf: Bool) {
        self.name = name
        self.id = id
        self.address = address
        self.sessions = sessions
        self.startedAt = startedAt
        self.isSelf = isSelf
    }

    enum CodingKeys: String, CodingKey {
        case name, id, address, sessions
        case startedAt = "started_at"
        case isSelf = "self"
    }
}

/// The nodes of the cluster.
package struct NodeList: Sendable, Hashable, Codable {
    package var nodes: [NodeView]

    package init(nodes: [NodeView]) { self.nodes = nodes }
}

/// The route of the nodes.
struct NodeRoutes: OperationsRouteGroup {
    let nodes: @Sendable () async -> NodeList

    var routes: [OperationsRoute] { [OperationsRoute("/v1/nodes", [.get: .read])] }

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/v1/nodes") { [nodes] _, _ in try Response.json(await nodes()) }
    }
}

extension OperationsFeature {
    /// The nodes of the cluster.
    ///
    /// - Parameters:
    ///   - cluster: nil for a gateway that runs alone
    ///   - started: the start of the process in Unix milliseconds
    package static func nodes(
        _ cluster: SessionCluster?, sessions: @escaping @Sendable () -> Int, started: Int64
    ) -> OperationsFeature {
        OperationsFeature(
            NodeRoutes {
                guard let cluster else {
                    return NodeList(nodes: [
                        NodeView(name: NodeName.current, id: nil, address: nil, sessions: sessions(), startedAt: started, isSelf: true)
                    ])
                }
                // While the store is down, those of the last renewal of the lease are listed.
                _ = try? await cluster.directory.refresh()
                let others = cluster.directory.others.map { NodeView($0, isSelf: false) }
                var own = NodeView(cluster.directory.record, isSelf: true)
                own.sessions = sessions()
                return NodeList(nodes: (others + [own]).sorted { ($0.name, $0.id ?? "") < ($1.name, $1.id ?? "") })
            })
    }
}

extension NodeView {
    fileprivate init(_ record: NodeRecord, isSelf: Bool) {
        self.init(
            name: record.name, id: "\(record.id)", address: record.address.isEmpty ? nil : record.address, sessions: record.load,
            startedAt: record.started, isSelf: isSelf)
    }
}

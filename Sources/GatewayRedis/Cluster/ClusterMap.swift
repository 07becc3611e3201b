// SPDX-License-Identifier: Apache-2.0

/// The masters of a cluster's slots, from the reply to `CLUSTER SLOTS`.
struct ClusterMap: Sendable, Hashable {
    struct Range: Sendable, Hashable {
        var slots: ClosedRange<Int>
        var master: RedisEndpoint
    }

    /// The maximum number of masters; Redis Cluster is designed for up to 1000 nodes.
    static let maxMasters = 1024

    private(set) var ranges: [Range] = []

    /// - Parameter server: the server that sent the reply; its host is meant if an entry has none
    /// - Returns: nil if the reply is malformed. Entries whose host is unknown are left out.
    init?(_ reply: RedisReply, from server: RedisEndpoint) {
        guard let entries = reply.elements, entries.count <= KeySlot.count else { return nil }
        for entry in entries {
            guard let fields = entry.elements, fields.count >= 3, let first = fields[0].number, let last = fields[1].number,
                0 <= first, first <= last, last < KeySlot.count, let node = fields[2].elements, node.count >= 2,
                let port = node[1].number, 1...65535 ~= port
            else { return nil }
            let host = node[0].text ?? ""
            guard host != "?" else { continue }
            ranges.append(
                Range(
                    slots: Int(first)...Int(last), master: RedisEndpoint(host: host.isEmpty ? server.host : host, port: Int(port))))
        }
        guard masters.count <= Self.maxMasters else { return nil }
    }

    /// The masters in the order of their first slots.
    var masters: [RedisEndpoint] {
        var seen: Set<RedisEndpoint> = []
        return ranges.map(\.master).filter { seen.insert($0).inserted }
    }
}

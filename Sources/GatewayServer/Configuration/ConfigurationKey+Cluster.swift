// SPDX-License-Identifier: Apache-2.0

extension ConfigurationKey {
    /// `cluster.*`.
    static let clustering: [ConfigurationKey] = [
        ConfigurationKey(
            "cluster.listen", \.cluster.listen, reload: .restart, allowed: "off, or \(endpointAllowed)",
            meaning: "Address of the listener for the other nodes of the cluster. Requires cluster.secret or cluster.tls.*.",
            read: { only($0).flatMap { $0 == "off" ? .some(nil) : SocketEndpoint($0).map(Optional.some) } },
            write: { $0?.description ?? "off" }),
        ConfigurationKey(
            "cluster.advertise", \.cluster.advertise, reload: .restart, allowed: endpointAllowed,
            meaning: "Address at which the other nodes reach this one. Unset: that of cluster.listen, which then can't be a wildcard.",
            read: { only($0).flatMap { SocketEndpoint($0) }.map(Optional.some) }, write: { $0?.description }),
        ConfigurationKey(
            "cluster.secret", \.cluster.secret, isSecret: true, reload: .restart, allowed: "16 to 4096 bytes",
            meaning:
                "Secret by which the nodes authenticate each other. Without cluster.tls.* the link is not encrypted: use it in private networks only. "
                + "Prefer PARLEY_CLUSTER_SECRET_FILE=/path to this key.",
            read: { only($0).flatMap { (16...4096).contains($0.utf8.count) ? Optional.some($0) : nil } }, write: { $0 }),
        .path(
            "cluster.tls.certificate", \.cluster.certificate,
            "PEM file with this node's certificate chain, for mutual TLS between nodes. Its names include the host of cluster.advertise."),
        .path("cluster.tls.key", \.cluster.key, "PEM file with the private key of cluster.tls.certificate."),
        .path("cluster.tls.ca", \.cluster.authority, "PEM file of the CAs that sign the certificates of the nodes."),
        ConfigurationKey(
            "cluster.node", \.cluster.node, reload: .restart,
            allowed: "1 to 64 characters of A-Z a-z 0-9 . _ -, or empty for a made-up name",
            meaning: "Name of this node, unique in the cluster and the same after a restart.",
            read: { only($0).flatMap(nodeName) }, write: { $0 }),
        ConfigurationKey(
            "cluster.lease", \.cluster.lease, reload: .restart, allowed: "a duration from 1s to 60s, such as 5s",
            meaning: "How long a node that no longer reaches the store keeps its sessions. Other nodes take them over afterwards.",
            read: { texts in
                guard let value = only(texts).flatMap(ConfigurationNotation.duration) else { return nil }
                return (.seconds(1) ... .seconds(60)).contains(value) ? value : nil
            },
            write: { ConfigurationNotation.text($0) }),
    ]

    /// Returns the text if it can be the name of a node.
    @Sendable private static func nodeName(_ text: String) -> String? {
        let isAllowed = text.utf8.allSatisfy {
            switch $0 {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2E, 0x5F, 0x2D: true
            default: false
            }
        }
        return isAllowed && text.utf8.count <= 64 ? text : nil
    }
}

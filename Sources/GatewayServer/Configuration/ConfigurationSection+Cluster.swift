// SPDX-License-Identifier: Apache-2.0

extension ConfigurationSection {
    /// `cluster.*`: the links between the nodes of a cluster.
    package struct Cluster: Sendable, Equatable {
        /// The address for other nodes; nil: none.
        package var listen: SocketEndpoint?
        /// The address at which other nodes reach this one; nil: that of ``listen``.
        package var advertise: SocketEndpoint?
        /// 16 to 4096 bytes. A secret.
        package var secret: String?
        /// The certificate chain of mutual TLS.
        package var certificate: String?
        /// The private key of ``certificate``.
        package var key: String?
        /// The CAs that sign the certificates of the nodes.
        package var authority: String?
        /// The name of the node; empty: made up.
        package var node = ""
        /// How long a node that no longer reaches the store keeps its sessions.
        package var lease = Duration.seconds(5)

        /// Whether the nodes authenticate by certificates.
        package var usesTLS: Bool { certificate != nil && key != nil && authority != nil }
    }
}

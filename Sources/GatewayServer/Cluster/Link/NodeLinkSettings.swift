// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import GatewayTLS
package import NIOCore

/// The settings of a node's links.
package struct NodeLinkSettings: Sendable {
    /// The id of this node, made at its start.
    package var node: ULID
    package var security: NodeLinkSecurity
    /// The address of the listener; nil for none.
    package var listen: SocketEndpoint?
    package var connectTimeout = TimeAmount.seconds(5)
    package var handshakeTimeout = TimeAmount.seconds(5)
    package var pingInterval = TimeAmount.seconds(1)
    /// A peer that sends nothing during this many intervals is dead.
    package var missedPings = 3
    /// Maximum bytes of a stream that its receiver hasn't consumed.
    package var window = Congestion.bytes
    /// Maximum number of connections in their handshake.
    package var handshakes = 64
    /// Maximum number of streams of a link, and of requests that wait for their response in each direction.
    package var streams = 65_536
    package var requests = 1024

    package init(node: ULID, security: NodeLinkSecurity, listen: SocketEndpoint?) {
        self.node = node
        self.security = security
        self.listen = listen
    }
}

/// The authentication of nodes: a secret, certificates, or both.
package struct NodeLinkSecurity: Sendable {
    /// At least 16 bytes; nil for certificates only.
    let secret: [UInt8]?
    let tls: TLS?

    /// The certificates of mutual TLS. Each node verifies the other's certificate.
    struct TLS: Sendable {
        let server: TLSContext
        let certificate: TLSSettings.Certificate
        let authority: String

        /// Makes the context of a connection to a host, whose name must be in its certificate.
        func client(host: String) throws(TLSConfigurationError) -> TLSClientContext {
            try TLSClientContext(
                verify: .authority(path: authority), serverName: host, minimumVersion: .v1_3, certificate: certificate)
        }
    }

    /// Warnings about the certificate.
    package var warnings: [TLSWarning] { tls?.server.warnings ?? [] }

    /// Reads the certificates of a configuration, if any.
    package init(_ configuration: ConfigurationSection.Cluster, now: Int64) throws(TLSConfigurationError) {
        let secret = configuration.secret.map { Array($0.utf8) }
        guard let certificate = configuration.certificate, let key = configuration.key, let authority = configuration.authority else {
            // A node without a listener needs neither, and dials others in vain: nobody has this secret.
            var generator = SystemRandomNumberGenerator()
            self.init(secret: secret ?? (0..<32).map { _ in generator.next() })
            return
        }
        try self.init(
            secret: secret, certificate: TLSSettings.Certificate(certificate: certificate, key: key), authority: authority, now: now)
    }

    package init(secret: [UInt8]) {
        self.secret = secret
        tls = nil
    }

    /// - Parameters:
    ///   - authority: the path of the PEM file of the authorities that sign the nodes' certificates
    ///   - now: seconds since 1970
    package init(
        secret: [UInt8]?, certificate: TLSSettings.Certificate, authority: String, now: Int64
    ) throws(TLSConfigurationError) {
        self.secret = secret
        let settings = TLSSettings(
            certificates: [certificate], minimumVersion: .v1_3, clientAuthority: authority, clientAuthentication: .required)
        let server = try TLSContext(settings, ticketKeys: TLSTicketKeys(rotation: .hours(24)), now: now)
        tls = TLS(server: server, certificate: certificate, authority: authority)
    }

    /// Returns the proof that this node has the secret; empty without one, nil when OpenSSL is out of memory.
    func proof(_ transcript: [UInt8]) -> [UInt8]? {
        guard let secret else { return [] }
        return MessageAuthentication.code(of: transcript, secret: secret)
    }

    func isValid(proof: [UInt8], of transcript: [UInt8]) -> Bool {
        guard let secret else { return proof.isEmpty }
        return MessageAuthentication.isValid(proof, of: transcript, secret: secret)
    }
}

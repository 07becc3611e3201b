// SPDX-License-Identifier: Apache-2.0

package import GatewayTLS

/// The TLS settings of connections to the servers.
package struct RedisTLS: Sendable, Hashable {
    package var verification: TLSClientContext.Verification
    /// The name to send and to check in the certificate of every server; nil for the host of each server's address. A cluster or Sentinel
    /// announces addresses, which certificates often don't contain.
    package var serverName: String?
    /// The certificate for servers that request one.
    package var certificate: TLSSettings.Certificate?

    package init(
        verification: TLSClientContext.Verification = .system, serverName: String? = nil, certificate: TLSSettings.Certificate? = nil
    ) {
        self.verification = verification
        self.serverName = serverName
        self.certificate = certificate
    }

    /// Reads the files. Call it at startup, so that a missing file is reported there.
    package func context(for host: String) throws(TLSConfigurationError) -> TLSClientContext {
        try TLSClientContext(verify: verification, serverName: serverName ?? host, certificate: certificate)
    }
}

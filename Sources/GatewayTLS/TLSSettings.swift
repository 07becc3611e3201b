// SPDX-License-Identifier: Apache-2.0

/// The TLS settings of a listener, independent of their source.
///
/// Keys: `tls.certificates`, `tls.minimum_version`, `tls.client_ca`, `tls.client_auth`. The rotation of ticket keys (`tls.ticket_rotation`)
/// belongs to ``TLSTicketKeys``, because these outlive a reload.
package struct TLSSettings: Sendable, Hashable {
    /// The paths of the PEM files of a certificate and its key.
    package struct Certificate: Sendable, Hashable {
        /// The server's certificate first, then the intermediate certificates.
        package var certificate: String
        /// PKCS#8, PKCS#1 or SEC 1; not encrypted.
        package var key: String

        package init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// The authentication of clients by certificate.
    package enum ClientAuthentication: String, Sendable, Hashable, CaseIterable {
        case none
        /// A certificate is requested: a client without one is accepted, one with an invalid certificate is rejected.
        case optional
        case required
    }

    /// The certificates, at least one. The first is the default for unknown server names and clients without SNI.
    package var certificates: [Certificate]
    package var minimumVersion: TLSVersion
    /// The PEM file of the authorities for client certificates. Required unless `clientAuthentication` is `none`.
    package var clientAuthority: String?
    package var clientAuthentication: ClientAuthentication

    package init(
        certificates: [Certificate], minimumVersion: TLSVersion = .v1_2, clientAuthority: String? = nil,
        clientAuthentication: ClientAuthentication = .none
    ) {
        self.certificates = certificates
        self.minimumVersion = minimumVersion
        self.clientAuthority = clientAuthority
        self.clientAuthentication = clientAuthentication
    }
}

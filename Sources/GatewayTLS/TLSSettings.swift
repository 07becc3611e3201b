/// What a listener needs to speak TLS, free of where it was written down.
///
/// Keys: `tls.certificates`, `tls.minimum_version`, `tls.client_ca`, `tls.client_auth`. The age of ticket keys (`tls.ticket_rotation`)
/// belongs to ``TLSTicketKeys``, because they outlive a reload.
package struct TLSSettings: Sendable, Hashable {
    /// A certificate and its key, as paths of PEM files.
    package struct Certificate: Sendable, Hashable {
        /// The certificate of the server first, then those between it and the authority.
        package var certificate: String
        /// PKCS#8, PKCS#1 or SEC 1; not encrypted.
        package var key: String

        package init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// Whether clients prove who they are with a certificate.
    package enum ClientAuthentication: String, Sendable, Hashable, CaseIterable {
        case none
        /// Asked for; a client without one passes, one with a bad one doesn't.
        case optional
        case required
    }

    /// At least one. The first is the default for names that no certificate has, and for clients that tell none.
    package var certificates: [Certificate]
    package var minimumVersion: TLSVersion
    /// PEM file of the authorities that clients' certificates must come from. Needed unless `clientAuthentication` is `none`.
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

// SPDX-License-Identifier: Apache-2.0

/// A certificate for servers that is signed by its own key, P-256. Clients can trust this file alone.
package enum SelfSignedCertificate {
    /// Creates a certificate and its key, both PEM.
    ///
    /// - Parameters:
    ///   - names: valid host names and IP addresses; the first is also the common name, which has at most 64 bytes (RFC 5280 §A.1).
    ///   - days: the validity from now on.
    ///   - now: seconds since 1970.
    package static func create(
        names: [String], days: Int64, now: Int64
    ) throws(TLSConfigurationError) -> (certificate: String, key: String) {
        let key = try GeneratedKey(.p256)
        let certificate = try GeneratedCertificate(
            GeneratedCertificate.Request(
                names: names,
                // An hour in the past, for clients whose clock is slightly behind.
                notBefore: now - 3600, notAfter: now + days * 86400, isForServers: true),
            key: key)
        return (certificate.pem, key.pem)
    }
}

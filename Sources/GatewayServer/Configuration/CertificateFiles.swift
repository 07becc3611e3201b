// SPDX-License-Identifier: Apache-2.0

/// One entry of `tls.certificates`: a PEM chain and its PEM key, written `cert.pem:key.pem`.
package struct CertificateFiles: Sendable, Hashable, CustomStringConvertible {
    /// Path of the certificate chain, leaf first.
    package var certificate: String
    /// Path of the private key.
    package var key: String

    package init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }

    /// Parses `cert.pem:key.pem`: two nonempty paths and one colon. Doesn't check whether the files exist.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && !$0.utf8.contains(0) }) else { return nil }
        self.init(certificate: String(parts[0]), key: String(parts[1]))
    }

    /// The notation of the configuration. Contains paths, no secret.
    package var description: String { "\(certificate):\(key)" }
}

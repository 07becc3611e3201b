// SPDX-License-Identifier: Apache-2.0

/// The self-signed certificate that the gateway creates in the development environment, so that a fresh clone supports TLS.
///
/// P-256, for `localhost`, `127.0.0.1` and `::1` only. Clients can trust this file alone. Never created in production.
package enum DevelopmentCertificate {
    /// The validity of a new certificate, in days.
    package static let validDays: Int64 = 90
    /// The remaining validity below which the certificate is replaced, in days.
    package static let remainingDays: Int64 = 7

    /// Returns the files in `directory`, and creates or replaces them unless they exist, match and are valid for another ``remainingDays``.
    ///
    /// - Parameters:
    ///   - directory: created with mode 0700 if missing; the key gets mode 0600.
    ///   - now: seconds since 1970.
    package static func files(in directory: String, now: Int64) throws(TLSConfigurationError) -> TLSSettings.Certificate {
        let files = TLSSettings.Certificate(
            certificate: directory + "/development-cert.pem", key: directory + "/development-key.pem")
        // Two gateways that start in one directory may each write one of the files: the files are checked again, and recreated if they
        // don't match.
        for _ in 0..<3 where !isValid(files, now: now) {
            let (certificate, key) = try SelfSignedCertificate.create(names: ["localhost", "127.0.0.1", "::1"], days: validDays, now: now)
            try PEMFile.write(key, to: files.key, permissions: 0o600)
            try PEMFile.write(certificate, to: files.certificate, permissions: 0o644)
        }
        return files
    }

    private static func isValid(_ files: TLSSettings.Certificate, now: Int64) -> Bool {
        guard let certificate = try? TLSCertificate(files) else { return false }
        return certificate.notBefore <= now && certificate.notAfter >= now + remainingDays * 86400
    }
}

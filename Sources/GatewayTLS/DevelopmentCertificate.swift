/// The certificate that the development environment makes for itself, so that a fresh clone speaks TLS at once.
///
/// Self-signed, P-256, for `localhost`, `127.0.0.1` and `::1`, and so for nobody else. Clients can trust just this file. Never made in production.
package enum DevelopmentCertificate {
    /// Days that a new one is valid.
    package static let validDays: Int64 = 90
    /// One that ends sooner than this is made anew.
    package static let remainingDays: Int64 = 7

    /// The files in `folder`: those that are there when they are whole, fit together and last for another week, else new ones.
    ///
    /// - Parameters:
    ///   - folder: made with 0700 when missing; the key is 0600.
    ///   - now: seconds since 1970.
    package static func files(in folder: String, now: Int64) throws(TLSConfigurationError) -> TLSSettings.Certificate {
        let files = TLSSettings.Certificate(
            certificate: folder + "/development-cert.pem", key: folder + "/development-key.pem")
        // Two gateways that start in one folder may each write one of the files; what came of it is looked at, and made again.
        for _ in 0..<3 where !isGood(files, now: now) {
            let (certificate, key) = try make(now: now)
            try PEMFile.write(key, to: files.key, permissions: 0o600)
            try PEMFile.write(certificate, to: files.certificate, permissions: 0o644)
        }
        return files
    }

    private static func isGood(_ files: TLSSettings.Certificate, now: Int64) -> Bool {
        guard let certificate = try? TLSCertificate(files) else { return false }
        return certificate.notBefore <= now && certificate.notAfter >= now + remainingDays * 86400
    }

    private static func make(now: Int64) throws(TLSConfigurationError) -> (certificate: String, key: String) {
        let key = try GeneratedKey(.p256)
        let certificate = try GeneratedCertificate(
            GeneratedCertificate.Request(
                names: ["localhost", "127.0.0.1", "::1"],
                // An hour back, for clients whose clock is a little behind.
                notBefore: now - 3600, notAfter: now + validDays * 86400, isForServers: true),
            key: key)
        return (certificate.pem, key.pem)
    }
}

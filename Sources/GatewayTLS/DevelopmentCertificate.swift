import Crypto
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

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
        do {
            let key = P256.Signing.PrivateKey()
            let name = try DistinguishedName { CommonName("localhost") }
            let certificate = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: Certificate.PublicKey(key.publicKey),
                // An hour back, for clients whose clock is a little behind.
                notValidBefore: Date(timeIntervalSince1970: TimeInterval(now - 3600)),
                notValidAfter: Date(timeIntervalSince1970: TimeInterval(now + validDays * 86400)),
                issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth])
                    SubjectAlternativeNames([
                        .dnsName("localhost"),
                        .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
                        .ipAddress(ASN1OctetString(contentBytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
                    ])
                },
                issuerPrivateKey: Certificate.PrivateKey(key))
            return (try certificate.serializeAsPEM().pemString + "\n", key.pemRepresentation + "\n")
        } catch {
            throw TLSConfigurationError(path: nil, .unsupported("the development certificate: \(error)"))
        }
    }
}

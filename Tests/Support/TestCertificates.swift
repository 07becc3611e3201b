import Crypto
import CryptoExtras
import Foundation
package import GatewayTLS
import SwiftASN1
import X509

/// Certificates made at run time in a temporary folder, which goes away with this object. No key of a test lies in the repository.
package final class TestCertificates: Sendable {
    package enum Kind: Sendable {
        case p256
        /// 2048 bits. Making one takes a moment, so that all tests of a process share it.
        case rsa
    }

    /// What to make. Times are in seconds from now.
    package struct Request: Sendable {
        /// The subjectAltName; the first is also the common name.
        package var names: [String]
        package var kind = Kind.p256
        package var notBefore: Int = -3600
        package var notAfter: Int = 90 * 86400
        /// Whether it may sign others: `openssl verify` and clients take it as a root.
        package var isAuthority = false

        package init(
            _ names: [String], kind: Kind = .p256, notBefore: Int = -3600, notAfter: Int = 90 * 86400,
            isAuthority: Bool = false
        ) {
            self.names = names
            self.kind = kind
            self.notBefore = notBefore
            self.notAfter = notAfter
            self.isAuthority = isAuthority
        }
    }

    /// A certificate with its key, in memory and as files.
    package struct Made: Sendable {
        package var files: TLSSettings.Certificate
        let certificate: Certificate
        let key: Certificate.PrivateKey
    }

    private let temporary: TemporaryFolder
    /// Absolute, without a slash at the end.
    package var folder: String { temporary.path }

    package init() throws { temporary = try TemporaryFolder() }

    /// Makes `<file>.pem` and `<file>.key`, signed by `issuer` or by itself.
    package func make(_ request: Request, file: String, issuer: Made? = nil) throws -> Made {
        let key: Certificate.PrivateKey
        let keyText: String
        switch request.kind {
        case .p256:
            let own = P256.Signing.PrivateKey()
            (key, keyText) = (Certificate.PrivateKey(own), own.pemRepresentation)
        case .rsa:
            let own = try Self.rsaKey.get()
            (key, keyText) = (Certificate.PrivateKey(own), own.pemRepresentation)
        }
        let subject = try DistinguishedName { CommonName(request.names.first ?? "nobody") }
        let now = Date()
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
            notValidBefore: now + TimeInterval(request.notBefore), notValidAfter: now + TimeInterval(request.notAfter),
            issuer: issuer?.certificate.subject ?? subject, subject: subject,
            extensions: try Certificate.Extensions {
                Critical(
                    request.isAuthority
                        ? BasicConstraints.isCertificateAuthority(maxPathLength: nil) : BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true, keyCertSign: request.isAuthority))
                SubjectAlternativeNames(request.names.map(Self.generalName))
            },
            issuerPrivateKey: issuer?.key ?? key)
        let files = TLSSettings.Certificate(certificate: "\(folder)/\(file).pem", key: "\(folder)/\(file).key")
        try (try certificate.serializeAsPEM().pemString + "\n").write(toFile: files.certificate, atomically: true, encoding: .utf8)
        try (keyText + "\n").write(toFile: files.key, atomically: true, encoding: .utf8)
        return Made(files: files, certificate: certificate, key: key)
    }

    /// A self-signed pair for `names`.
    package func files(_ names: String..., kind: Kind = .p256, file: String = "server") throws -> TLSSettings.Certificate {
        try make(Request(names, kind: kind), file: file).files
    }

    /// Writes anything into the folder and returns its path.
    package func write(_ text: String, file: String) throws -> String {
        let path = "\(folder)/\(file)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private static let rsaKey = Result { try _RSA.Signing.PrivateKey(keySize: .bits2048) }

    private static func generalName(_ name: String) -> GeneralName {
        let parts = name.split(separator: ".").compactMap { UInt8($0) }
        return parts.count == 4 ? .ipAddress(ASN1OctetString(contentBytes: parts[...])) : .dnsName(name)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
package import GatewayTLS

/// Certificates generated at run time in a temporary directory, which is removed with this object. The repository contains no keys.
package final class TestCertificates: Sendable {
    package enum Kind: Sendable {
        case p256
        /// RSA with 2048 bits. Generating a key is slow, so all tests of a process share one.
        case rsa
    }

    /// The certificate to generate. Times are in seconds from now.
    package struct Request: Sendable {
        /// The subjectAltName entries; the first is also the common name.
        package var names: [String]
        package var kind = Kind.p256
        package var notBefore: Int = -3600
        package var notAfter: Int = 90 * 86400
        /// Whether the certificate is a CA, which may sign others and is accepted as a root by `openssl verify` and clients.
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

    /// A certificate and its key, in memory and as files.
    package struct IssuedCertificate: Sendable {
        package var files: TLSSettings.Certificate
        let certificate: GeneratedCertificate
    }

    private let temporary: TemporaryDirectory
    /// The absolute path, without a trailing slash.
    package var directory: String { temporary.path }

    package init() throws { temporary = try TemporaryDirectory() }

    /// Generates `<file>.pem` and `<file>.key`, signed by `issuer` or self-signed.
    package func make(_ request: Request, file: String, issuer: IssuedCertificate? = nil) throws -> IssuedCertificate {
        let key =
            switch request.kind {
            case .p256: try GeneratedKey(.p256)
            case .rsa: try Self.rsaKey.get()
            }
        let now = Int64(Date().timeIntervalSince1970)
        let certificate = try GeneratedCertificate(
            GeneratedCertificate.Request(
                names: request.names, notBefore: now + Int64(request.notBefore), notAfter: now + Int64(request.notAfter),
                isAuthority: request.isAuthority),
            key: key, issuer: issuer?.certificate)
        let files = TLSSettings.Certificate(certificate: "\(directory)/\(file).pem", key: "\(directory)/\(file).key")
        try certificate.pem.write(toFile: files.certificate, atomically: true, encoding: .utf8)
        try key.pem.write(toFile: files.key, atomically: true, encoding: .utf8)
        return IssuedCertificate(files: files, certificate: certificate)
    }

    /// Generates a self-signed certificate for `names`.
    package func files(_ names: String..., kind: Kind = .p256, file: String = "server") throws -> TLSSettings.Certificate {
        try make(Request(names, kind: kind), file: file).files
    }

    /// Writes a file into the directory and returns its path.
    package func write(_ text: String, file: String) throws -> String {
        let path = "\(directory)/\(file)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private static let rsaKey = Result { try GeneratedKey(.rsa) }
}

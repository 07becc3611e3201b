// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support

/// A certificate and key for gateways outside development, created with openssl, which `deploy/setup.sh` installs.
final class TestCertificatePair: Sendable {
    /// The pair for `localhost`, shared by all gateways that need any certificate.
    static let shared = Task { try await TestCertificatePair() }

    let directory: TemporaryDirectory
    var certificate: String { directory.path + "/cert.pem" }
    var key: String { directory.path + "/key.pem" }
    /// The value for `tls.certificates`.
    var files: String { "\(certificate):\(key)" }

    init(name: String = "localhost") async throws {
        directory = try TemporaryDirectory()
        let result = try await ChildProcess.run(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                "/CN=\(name)",
                "-addext", "subjectAltName=DNS:\(name)", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", "key.pem", "-out",
                "cert.pem",
            ], directory: directory.path)
        guard result.status == 0 else { throw TestFailure("openssl: \(result.errorLines)") }
    }
}

extension Task where Success == TestCertificatePair, Failure == any Error {
    var files: String { get async throws { try await value.files } }
}

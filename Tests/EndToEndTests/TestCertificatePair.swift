import Foundation
import Support

/// Certificates for gateways outside development, made once by the tool that `deploy/setup.sh` installs for the tests.
final class TestCertificatePair: Sendable {
    /// For `localhost`, shared by all gateways that only need some certificate.
    static let shared = Task { try await TestCertificatePair() }

    let folder: TemporaryFolder
    var certificate: String { folder.path + "/cert.pem" }
    var key: String { folder.path + "/key.pem" }
    /// As `tls.certificates` names them.
    var files: String { "\(certificate):\(key)" }

    init(name: String = "localhost") async throws {
        folder = try TemporaryFolder()
        let result = try await ChildProcess.run(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                "/CN=\(name)",
                "-addext", "subjectAltName=DNS:\(name)", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", "key.pem", "-out",
                "cert.pem",
            ], folder: folder.path)
        guard result.status == 0 else { throw TestFailure("openssl: \(result.errorLines)") }
    }
}

extension Task where Success == TestCertificatePair, Failure == any Error {
    var files: String { get async throws { try await value.files } }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Authentication by client certificate (`auth.mode: mtls`), with certificates made by OpenSSL and curl as the client.
@Suite(.bounded) struct CertificateUserTests {
    private static let openssl = "/usr/bin/openssl"

    /// Makes a self-signed certificate `<name>.pem` with its key `<name>.key`.
    private func makeCertificate(_ name: String, subject: String, names: String?, in directory: TemporaryDirectory) async throws {
        let made = try await ChildProcess.run(
            Self.openssl,
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", subject,
                "-keyout", "\(name).key", "-out", "\(name).pem",
            ] + (names.map { ["-addext", "subjectAltName=\($0)"] } ?? []), directory: directory.path)
        guard made.status == 0 else { throw TestFailure("openssl: \(made.errorLines)") }
    }

    @Test func `the user is the first URI name of the certificate, else its DNS, e-mail or common name`() async throws {
        let directory = try TemporaryDirectory()
        // Each name is unique, since a user's connections are limited.
        let cases: [(file: String, subject: String, names: String?, user: String)] = [
            ("uri", "/CN=a", "DNS:b.example,URI:spiffe://acme/one,URI:spiffe://acme/two,email:c@example.com", "spiffe://acme/one"),
            ("dns", "/CN=a", "email:c@example.com,DNS:b.example", "b.example"),
            ("email", "/CN=a", "email:c@example.com", "c@example.com"),
            ("cn", "/O=acme/CN=common name", nil, "common name"),
        ]
        var authorities = ""
        for entry in cases {
            try await makeCertificate(entry.file, subject: entry.subject, names: entry.names, in: directory)
            authorities += try String(contentsOfFile: "\(directory.path)/\(entry.file).pem", encoding: .utf8)
        }
        try directory.write(authorities, to: "authorities.pem")
        let gateway = try await GatewayProcess([
            "auth.mode": "mtls", "tls.client_auth": "required", "tls.client_ca": "\(directory.path)/authorities.pem",
        ])
        let clients = try cases.map { entry in
            try ChildProcess(
                "/usr/bin/curl",
                [
                    "--silent", "--insecure", "--http1.1", "--max-time", "60", "--cert", "\(entry.file).pem", "--key", "\(entry.file).key",
                    "--header", "Connection: Upgrade", "--header", "Upgrade: websocket", "--header", "Sec-WebSocket-Version: 13",
                    "--header", "Sec-WebSocket-Key: \(HTTPRequestText.sampleKey)", "https://127.0.0.1:\(gateway.port)/v1/ws",
                ], directory: directory.path)
        }
        var users: Set<String> = []
        for _ in 0..<200 where users.count < cases.count {
            let response = try await gateway.operationsResponse(to: HTTPRequestText("/v1/sessions"))
            users = Set(try response.json()["sessions"].array?.compactMap { $0["user"].string } ?? [])
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(users == Set(cases.map(\.user)))
        for client in clients { client.signal(SIGKILL) }
        try await gateway.stop()
    }

    @Test func `a certificate without a usable name gets 401`() async throws {
        let directory = try TemporaryDirectory()
        try await makeCertificate("nameless", subject: "/O=acme", names: nil, in: directory)
        let gateway = try await GatewayProcess([
            "auth.mode": "mtls", "tls.client_auth": "required", "tls.client_ca": "\(directory.path)/nameless.pem",
        ])
        let run = try await ChildProcess.run(
            "/usr/bin/curl",
            [
                "--silent", "--insecure", "--http1.1", "--max-time", "20", "--cert", "nameless.pem", "--key", "nameless.key",
                "--header", "Connection: Upgrade", "--header", "Upgrade: websocket", "--header", "Sec-WebSocket-Version: 13",
                "--header", "Sec-WebSocket-Key: \(HTTPRequestText.sampleKey)", "https://127.0.0.1:\(gateway.port)/v1/ws",
            ], directory: directory.path)
        #expect(run.lines.joined().contains(#""status":401"#), "\(run)")
        try await gateway.stop()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Support
import Testing

@testable import GatewayTLS

/// Interoperability with `openssl s_client` over real sockets.
@Suite(.serialized) struct OpenSSLClientTests {
    let certificates: TestCertificates
    let clock = TLSTicketKeysTests.Clock()
    let now = Int64(Date().timeIntervalSince1970)

    init() throws {
        certificates = try TestCertificates()
    }

    private func withServer(_ settings: TLSSettings, _ body: (TLSEchoServer) throws -> Void) throws {
        let keys = TLSTicketKeys(rotation: .hours(12), now: clock.now)
        let server = try TLSEchoServer(try TLSContextStore(settings, ticketKeys: keys, now: now))
        defer { server.stop() }
        try body(server)
        // After any rejection the next client is served.
        let next = try OpenSSLCommand.connect(server.port, ["-quiet"], input: "hello\nbye\n")
        #expect(next.output.contains("hello"))
    }

    private func withServer(_ body: (TLSEchoServer) throws -> Void) throws {
        try withServer(TLSSettings(certificates: [try certificates.files("localhost")]), body)
    }

    @Test(arguments: [["-tls1_2"], ["-tls1_3"]]) func `data is echoed and the connection ends with close_notify`(version: [String]) throws {
        try withServer { server in
            let result = try OpenSSLCommand.connect(server.port, version + ["-alpn", "http/1.1", "-msg"], input: "hello\nbye\n")
            #expect(result.output.contains("hello"))
            #expect(result.output.contains("ALPN protocol: http/1.1"))
            #expect(result.output.contains("<<< TLS 1.\(version[0].suffix(1)), Alert [length 0002], warning close_notify"))
            #expect(!result.output.contains("unexpected eof"))
            #expect(server.errors.isEmpty)
        }
    }

    static let rejections: [(arguments: [String], alert: UInt8)] = [
        (arguments: ["-alpn", "h2"], alert: UInt8(120)),
        (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], 70),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], 40),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA"], 40),
        (["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"], 40),
        (["-tls1_3", "-groups", "P-521"], 40),
        (["-tls1_2", "-sigalgs", "RSA+SHA256"], 40),
    ]

    @Test(arguments: rejections) func `unsupported parameters are rejected with the right alert`(arguments: [String], alert: UInt8) throws {
        try withServer { server in
            let result = try OpenSSLCommand.connect(server.port, arguments, mayFail: true)
            #expect(result.status != 0)
            #expect(result.output.contains("SSL alert number \(alert)"), "\(result.output)")
            guard case .handshakeFailed(let reason, let sent)? = server.errors.first else {
                Issue.record("\(server.errors)")
                return
            }
            #expect(!reason.isEmpty)
            #expect(sent == TLSAlert(direction: .sent, code: alert, isFatal: true))
        }
    }

    @Test(arguments: [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    ]) func `each supported cipher suite works`(suite: String) throws {
        try withServer { server in
            let arguments = suite.hasPrefix("TLS_") ? ["-tls1_3", "-ciphersuites", suite] : ["-tls1_2", "-cipher", suite]
            let result = try OpenSSLCommand.connect(server.port, arguments)
            #expect(result.output.contains("Cipher is \(suite)"))
            #expect(server.completed.first?.cipher == suite)
        }
    }

    @Test func `with a minimum version of 1.3, TLS 1.2 is rejected`() throws {
        let settings = TLSSettings(certificates: [try certificates.files("localhost")], minimumVersion: .v1_3)
        try withServer(settings) { server in
            let result = try OpenSSLCommand.connect(server.port, ["-tls1_2"], mayFail: true)
            #expect(result.output.contains("SSL alert number 70"))
        }
    }

    @Test func `renegotiation is rejected`() throws {
        try withServer { server in
            // `R` makes s_client request a renegotiation.
            let result = try OpenSSLCommand.connect(server.port, ["-tls1_2"], input: "R\n", interpretsCommands: true, mayFail: true)
            #expect(result.output.contains("RENEGOTIATING"))
            #expect(result.output.contains("no renegotiation"))
        }
    }

    @Test func `compression and early data aren't supported`() throws {
        try withServer { server in
            let result = try OpenSSLCommand.connect(server.port, ["-tls1_3"])
            #expect(result.output.contains("Compression: NONE"))
            #expect(result.output.contains("Max Early Data: 0"))
        }
    }

    @Test(arguments: [["-tls1_2"], ["-tls1_3"]])
    func `a ticket resumes a session until the second rotation`(version: [String]) throws {
        try withServer { server in
            let first = certificates.directory + "/first.session"
            let second = certificates.directory + "/second.session"
            let input = "hello\nbye\n"
            var result = try OpenSSLCommand.connect(server.port, version + ["-sess_out", first], input: input)
            #expect(result.output.contains("New, TLSv1."))
            result = try OpenSSLCommand.connect(server.port, version + ["-sess_in", first], input: input)
            #expect(result.output.contains("Reused, TLSv1."))
            #expect(server.completed.map(\.isResumed) == [false, true])
            // A ticket of the previous key is renewed with the current one.
            clock.advance(.hours(12))
            result = try OpenSSLCommand.connect(server.port, version + ["-sess_in", first, "-sess_out", second], input: input)
            #expect(result.output.contains("Reused, TLSv1."))
            clock.advance(.hours(12))
            result = try OpenSSLCommand.connect(server.port, version + ["-sess_in", first], input: input)
            #expect(result.output.contains("New, TLSv1."))
            // In TLS 1.2 s_client also receives the new ticket but doesn't save it.
            guard version == ["-tls1_3"] else { return }
            result = try OpenSSLCommand.connect(server.port, version + ["-sess_in", second], input: input)
            #expect(result.output.contains("Reused, TLSv1."))
        }
    }

    @Test func `a ticket survives a reload but not a change of client authentication`() throws {
        let files = try certificates.files("localhost")
        let authority = try certificates.make(.init(["authority"], isAuthority: true), file: "authority").files
        let settings = TLSSettings(certificates: [files])
        let store = try TLSContextStore(settings, ticketKeys: TLSTicketKeys(rotation: .hours(12), now: clock.now), now: now)
        let server = try TLSEchoServer(store)
        defer { server.stop() }
        let session = certificates.directory + "/session"
        _ = try OpenSSLCommand.connect(server.port, ["-tls1_3", "-sess_out", session], input: "hello\nbye\n")
        try store.reload(TLSSettings(certificates: [try certificates.files("localhost", file: "next")]), now: now)
        _ = try OpenSSLCommand.connect(server.port, ["-tls1_3", "-sess_in", session])
        try store.reload(
            TLSSettings(certificates: [files], clientAuthority: authority.certificate, clientAuthentication: .optional), now: now)
        _ = try OpenSSLCommand.connect(server.port, ["-tls1_3", "-sess_in", session])
        #expect(server.completed.map(\.isResumed) == [false, true, false])
    }

    @Test func `with RSA and ECDSA certificates for one name, the client's signature algorithms decide`() throws {
        let settings = TLSSettings(certificates: [
            try certificates.files("default.example", file: "default"),
            try certificates.files("chat.example", kind: .rsa, file: "rsa"),
            try certificates.files("chat.example", file: "ecdsa"),
            try certificates.files("*.voice.example", kind: .rsa, file: "wildcard"),
        ])
        try withServer(settings) { (server: TLSEchoServer) throws in
            func subject(_ name: String, _ algorithms: String) throws -> String {
                let result = try OpenSSLCommand.connect(
                    server.port, ["-servername", name, "-sigalgs", algorithms], input: "hello\nbye\n", mayFail: true)
                let line = result.output.split(separator: "\n").first { $0.hasPrefix("subject=") } ?? ""
                let name = line.split(separator: " ").last.map(String.init) ?? ""
                return name + (result.output.contains("Peer signature type: RSA-PSS") ? " RSA" : " ECDSA")
            }
            #expect(try subject("chat.example", "RSA-PSS+SHA256") == "chat.example RSA")
            #expect(try subject("chat.example", "ECDSA+SHA256") == "chat.example ECDSA")
            #expect(try subject("a.voice.example", "RSA-PSS+SHA256") == "*.voice.example RSA")
            #expect(try subject("a.b.voice.example", "ECDSA+SHA256") == "default.example ECDSA")
            #expect(try subject("unknown.example", "ECDSA+SHA256") == "default.example ECDSA")
        }
    }

    @Test func `the intermediate certificates are sent`() throws {
        let root = try certificates.make(.init(["root"], isAuthority: true), file: "root")
        let between = try certificates.make(.init(["between"], isAuthority: true), file: "between", issuer: root)
        let leaf = try certificates.make(.init(["localhost"]), file: "leaf", issuer: between)
        let chain = try certificates.write(
            String(contentsOfFile: leaf.files.certificate, encoding: .utf8)
                + String(contentsOfFile: between.files.certificate, encoding: .utf8), file: "chain.pem")
        try withServer(TLSSettings(certificates: [.init(certificate: chain, key: leaf.files.key)])) { server in
            let result = try OpenSSLCommand.connect(
                server.port, ["-CAfile", root.files.certificate, "-verify_return_error", "-verify_hostname", "localhost"])
            #expect(result.output.contains("Verify return code: 0 (ok)"))
        }
    }

    @Test func `a client certificate of the authority is accepted; any other certificate is rejected`() throws {
        let authority = try certificates.make(.init(["authority"], isAuthority: true), file: "authority")
        let client = try certificates.make(.init(["client"]), file: "client", issuer: authority).files
        let untrusted = try certificates.files("untrusted", file: "untrusted")
        let settings = TLSSettings(
            certificates: [try certificates.files("localhost")], clientAuthority: authority.files.certificate,
            clientAuthentication: .optional)
        try withServer(settings) { server in
            let good = try OpenSSLCommand.connect(
                server.port, ["-cert", client.certificate, "-key", client.key], input: "hello\nbye\n")
            #expect(good.output.contains("hello"))
            let bad = try OpenSSLCommand.connect(
                server.port, ["-cert", untrusted.certificate, "-key", untrusted.key], input: "hello\nbye\n", mayFail: true)
            #expect(bad.output.contains("alert"))
            guard case .handshakeFailed(let reason, let alert)? = server.errors.last else {
                Issue.record("\(server.errors)")
                return
            }
            #expect(reason.hasPrefix("certificate verify failed: "))
            #expect(alert?.direction == .sent)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayTLS

@Suite struct TLSContextTests {
    let certificates: TestCertificates
    let keys = TLSTicketKeys(rotation: .hours(12))
    let now = Int64(Date().timeIntervalSince1970)

    init() throws {
        certificates = try TestCertificates()
    }

    private func problems(_ settings: TLSSettings) -> [TLSConfigurationError.Problem] {
        do throws(TLSConfigurationError) {
            _ = try TLSContext(settings, ticketKeys: keys, now: now)
            return []
        } catch {
            return error.problems
        }
    }

    // MARK: Problems with files

    @Test func `all problems are reported together, with path and reason`() throws {
        let good = try certificates.files("localhost")
        let other = try certificates.files("localhost", file: "other")
        let garbage = try certificates.write("-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n", file: "garbage.pem")
        let large = try certificates.write(String(repeating: "x", count: 1024 * 1024 + 1), file: "large.pem")
        let found = problems(
            TLSSettings(
                certificates: [
                    good,
                    .init(certificate: certificates.directory + "/missing.pem", key: good.key),
                    .init(certificate: garbage, key: good.key),
                    .init(certificate: good.certificate, key: garbage),
                    .init(certificate: good.certificate, key: other.key),
                    .init(certificate: good.certificate, key: certificates.directory),
                    .init(certificate: large, key: good.key),
                ], clientAuthentication: .required))
        #expect(
            found == [
                .init(path: certificates.directory + "/missing.pem", reason: .unreadable("No such file or directory")),
                .init(path: garbage, reason: .notACertificate),
                .init(path: garbage, reason: .notAKey),
                .init(path: other.key, reason: .mismatch(certificate: good.certificate)),
                .init(path: certificates.directory, reason: .unreadable("Is a directory")),
                .init(path: large, reason: .tooLarge),
                .init(path: nil, reason: .noClientAuthority),
            ])
        #expect(problems(TLSSettings(certificates: [])) == [.init(path: nil, reason: .noCertificates)])
        #expect(problems(TLSSettings(certificates: [good])).isEmpty)
    }

    @Test func `an encrypted key is distinguished from an invalid one`() throws {
        let files = try certificates.files("localhost")
        let encrypted = certificates.directory + "/encrypted.key"
        try OpenSSLCommand.run(["pkey", "-in", files.key, "-aes256", "-passout", "pass:secret", "-out", encrypted])
        #expect(
            problems(TLSSettings(certificates: [.init(certificate: files.certificate, key: encrypted)])) == [
                .init(path: encrypted, reason: .encryptedKey)
            ])
    }

    @Test func `a warning about validity has the name and the date of the certificate`() throws {
        let day = 86400
        let expired = try certificates.make(.init(["old.example"], notBefore: -100 * day, notAfter: -day), file: "expired").files
        let soon = try certificates.make(.init(["soon.example"], notAfter: 29 * day), file: "soon").files
        let early = try certificates.make(.init(["early.example"], notBefore: day), file: "early").files
        let fine = try certificates.make(.init(["fine.example"], notAfter: 31 * day), file: "fine").files
        let context = try TLSContext(TLSSettings(certificates: [expired, soon, early, fine]), ticketKeys: keys, now: now)
        #expect(context.warnings.map(\.name) == ["old.example", "soon.example", "early.example"])
        #expect(context.warnings.map(\.kind) == [.expired, .expiresSoon, .notYetValid])
        #expect(context.warnings.map(\.path) == [expired, soon, early].map(\.certificate))
        #expect(abs(context.warnings[1].date - (now + Int64(29 * day))) < 60)
        // Certificates expire while they are in use.
        let later = context.warnings(now: now + Int64(40 * day))
        #expect(later.map(\.name) == ["old.example", "soon.example", "fine.example"])
        #expect(later.allSatisfy { $0.kind == .expired && !$0.summary.contains("/") && $0.description.hasSuffix($0.summary) })
    }

    @Test(arguments: [(Int64(0), TLSWarning.Kind.expired), (1, .expiresSoon), (30 * 86400, .expiresSoon), (30 * 86400 + 1, nil)])
    func `warnings begin thirty days before expiry`(left: Int64, kind: TLSWarning.Kind?) {
        #expect(TLSWarning.kind(notBefore: 0, notAfter: 1_000_000_000 + left, now: 1_000_000_000) == kind)
    }

    @Test(arguments: [
        (Int64(0), "1970-01-01"), (951_782_400, "2000-02-29"), (1_798_761_599, "2026-12-31"), (4_107_542_400, "2100-03-01"),
        (-1, "1969-12-31"),
    ])
    func `a date is formatted as YYYY-MM-DD`(seconds: Int64, text: String) {
        #expect(TLSWarning.day(seconds) == text)
    }

    // MARK: Handshakes

    @Test func `a client that offers only h2 is rejected with no_application_protocol`() throws {
        let pair = try TLSPair(certificates, applicationProtocols: ["h2"])
        try pair.pump()
        guard case .handshakeFailed(_, let alert)? = pair.serverSide.tlsErrors.first else {
            Issue.record("\(pair.serverSide.errors)")
            return
        }
        #expect(alert == TLSAlert(direction: .sent, code: 120, isFatal: true))
        #expect(pair.clientSide.completed.isEmpty)
    }

    @Test(arguments: [(offered: [String](), chosen: String?.none), (["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1")])
    func `ALPN selects http 1.1 if offered and nothing without an offer`(offered: [String], chosen: String?) throws {
        let pair = try TLSPair(certificates, applicationProtocols: offered)
        try pair.pump()
        #expect(try #require(pair.serverSide.completed.first).applicationProtocol == chosen)
    }

    @Test func `each server name gets its certificate; an unknown name gets the first`() throws {
        let settings = TLSSettings(certificates: [
            try certificates.files("a.example", file: "a"), try certificates.files("*.b.example", file: "b"),
        ])
        let context = try TLSContext(settings, ticketKeys: keys, now: now)
        for (name, index) in [("a.example", 0), ("x.b.example", 1), ("elsewhere.example", 0)] {
            let trusted = settings.certificates[index].certificate
            // The client doesn't verify names that the certificate can't contain.
            let pair = try TLSPair(
                server: context,
                client: try TLSClientContext(
                    verify: name == "elsewhere.example" ? .none : .authority(path: trusted), serverName: name))
            try pair.pump()
            #expect(pair.clientSide.completed.first?.serverName == name, "\(name): \(pair.clientSide.errors)")
        }
    }

    @Test func `a reload applies to new connections only`() throws {
        let first = try certificates.files("localhost", file: "first")
        let second = try certificates.files("localhost", file: "second")
        let store = try TLSContextStore(TLSSettings(certificates: [first]), ticketKeys: keys, now: now)
        let old = try TLSPair(
            server: store.current, client: try TLSClientContext(verify: .authority(path: first.certificate), serverName: "localhost"))
        try old.pump()
        try store.reload(TLSSettings(certificates: [second]), now: now)
        let new = try TLSPair(
            server: store.current, client: try TLSClientContext(verify: .authority(path: second.certificate), serverName: "localhost"))
        try new.pump()
        #expect(new.clientSide.completed.count == 1)
        try old.client.writeOutbound(ByteBuffer(string: "still here"))
        try old.pump()
        #expect(String(decoding: old.serverSide.received, as: UTF8.self) == "still here")
        // A failed reload changes nothing.
        #expect(throws: TLSConfigurationError.self) { try store.reload(TLSSettings(certificates: []), now: now) }
        let next = try TLSPair(
            server: store.current, client: try TLSClientContext(verify: .authority(path: second.certificate), serverName: "localhost"))
        try next.pump()
        #expect(next.clientSide.completed.count == 1)
    }

    @Test(arguments: TLSSettings.ClientAuthentication.allCases)
    func `a client without a certificate is accepted unless one is required`(mode: TLSSettings.ClientAuthentication) throws {
        let files = try certificates.files("localhost")
        let authority = try certificates.make(.init(["authority"], isAuthority: true), file: "authority").files
        let settings = TLSSettings(certificates: [files], clientAuthority: authority.certificate, clientAuthentication: mode)
        let pair = try TLSPair(
            server: try TLSContext(settings, ticketKeys: keys, now: now),
            client: try TLSClientContext(verify: .authority(path: files.certificate), serverName: "localhost"))
        try pair.pump()
        #expect(pair.serverSide.completed.count == (mode == .required ? 0 : 1))
        if mode == .required {
            guard case .handshakeFailed(_, let alert)? = pair.serverSide.tlsErrors.first else {
                Issue.record("\(pair.serverSide.errors)")
                return
            }
            // certificate_required (RFC 8446 §6.2)
            #expect(alert == TLSAlert(direction: .sent, code: 116, isFatal: true))
        }
    }
}

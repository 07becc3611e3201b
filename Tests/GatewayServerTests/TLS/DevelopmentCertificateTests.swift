// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Support
import Testing

@testable import GatewayTLS

@Suite struct DevelopmentCertificateTests {
    let certificates: TestCertificates
    let now = Int64(Date().timeIntervalSince1970)

    init() throws {
        certificates = try TestCertificates()
    }

    @Test(arguments: ["localhost", "127.0.0.1", "::1"])
    func `the development certificate is valid for the local host names`(name: String) throws {
        let files = try DevelopmentCertificate.files(in: certificates.directory + "/var", now: now)
        let pair = try TLSPair(
            server: try TLSContext(TLSSettings(certificates: [files]), ticketKeys: TLSTicketKeys(rotation: .hours(1)), now: now),
            client: try TLSClientContext(verify: .authority(path: files.certificate), serverName: name))
        try pair.pump()
        #expect(pair.clientSide.completed.count == 1, "\(pair.clientSide.errors)")
    }

    @Test func `the key is readable by its owner only, and no other files are left in the directory`() throws {
        let directory = certificates.directory + "/var"
        let files = try DevelopmentCertificate.files(in: directory, now: now)
        let attributes = try FileManager.default.attributesOfItem(atPath: files.key)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory).sorted() == ["development-cert.pem", "development-key.pem"])
    }

    @Test(arguments: [(days: Int64(0), isKept: true), (82, true), (83, true), (84, false), (200, false), (-1, false)])
    func `the certificate is kept while a week of validity remains and replaced afterwards`(days: Int64, isKept: Bool) throws {
        let directory = certificates.directory
        let files = try DevelopmentCertificate.files(in: directory, now: now)
        let first = try Data(contentsOf: URL(fileURLWithPath: files.certificate))
        _ = try DevelopmentCertificate.files(in: directory, now: now + days * 86400)
        let second = try Data(contentsOf: URL(fileURLWithPath: files.certificate))
        #expect((second == first) == isKept)
    }

    @Test(arguments: ["cert", "key"]) func `unreadable or mismatched files are replaced`(part: String) throws {
        let files = try DevelopmentCertificate.files(in: certificates.directory, now: now)
        _ = try certificates.write("garbage", file: "development-\(part).pem")
        #expect(try DevelopmentCertificate.files(in: certificates.directory, now: now) == files)
        #expect(throws: Never.self) { try TLSCertificate(files) }
    }

    @Test func `a directory that can't be created is an error with its path`() throws {
        let file = try certificates.write("", file: "file")
        #expect(throws: TLSConfigurationError.self) { try DevelopmentCertificate.files(in: file + "/var", now: now) }
    }
}

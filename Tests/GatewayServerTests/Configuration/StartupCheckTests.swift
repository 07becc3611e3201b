// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOPosix
import Support
import Testing

@testable import GatewayServer
@testable import GatewayTLS

@Suite("Files, programs and addresses of a configuration")
struct StartupCheckTests {
    private let directory: TemporaryDirectory
    private let certificates: TestCertificates
    private let good: TestCertificates.IssuedCertificate
    private let other: TestCertificates.IssuedCertificate

    init() throws {
        directory = try TemporaryDirectory()
        certificates = try TestCertificates()
        good = try certificates.make(.init(["localhost"], isAuthority: true), file: "good")
        other = try certificates.make(.init(["other.example"]), file: "other")
        try directory.write("no certificate", to: "broken.pem")
        try directory.write("", to: "empty.pem")
    }

    private func check(_ arguments: [String], stateDirectory: String? = nil) throws -> StartupCheck {
        // Free ports instead of the default ones.
        let own = ["--listen.address=127.0.0.1:0", "--operations.address=127.0.0.1:0"]
        let given = own.filter { flag in !arguments.contains { $0.hasPrefix(flag.prefix { $0 != "=" }) } }
        return StartupCheck(
            try loadConfiguration(given + arguments), stateDirectory: stateDirectory ?? directory.path + "/var",
            group: MultiThreadedEventLoopGroup.singleton, now: Int64(Date().timeIntervalSince1970))
    }

    private func found(_ arguments: [String]) throws -> [String] {
        try check(arguments).problems.map { "\($0.key) \($0.value?.replacing(directory.path + "/", with: "") ?? "")" }
    }

    @Test func `a valid configuration has no problems, and the check creates no files`() throws {
        #expect(try found([]) == [])
        #expect(
            try found([
                "--tls.certificates=\(good.files.certificate):\(good.files.key)", "--tls.client_auth=required",
                "--tls.client_ca=\(good.files.certificate)", "--store.kind=sqlite", "--store.path=\(directory.path)/new/parley.sqlite",
                "--upstreams.a.kind=process", "--upstreams.a.command=/bin/cat", "--upstreams.b.kind=process", "--upstreams.b.command=cat",
                "--upstreams.c.kind=openai", "--upstreams.c.urls=https://127.0.0.1:1/v1", "--upstreams.c.ca=\(good.files.certificate)",
                "--upstreams.c.client_certificate=\(good.files.certificate):\(good.files.key)",
            ]).filter { !$0.contains("kind process") } == [])
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/var"))
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/new"))
    }

    @Test func `certificates, keys and CAs are read as at startup`() throws {
        #expect(try found(["--tls.certificates=no.pem:\(good.files.key)"]) == ["tls.certificates no.pem"])
        #expect(try found(["--tls.certificates=\(directory.path)/broken.pem:\(good.files.key)"]) == ["tls.certificates broken.pem"])
        let mismatch = try check(["--tls.certificates=\(good.files.certificate):\(other.files.key)"]).problems
        #expect(mismatch.map(\.value) == [other.files.key])
        #expect(mismatch.first?.hint == "doesn't match the certificate \(good.files.certificate)")
        #expect(mismatch.first?.source == "--tls.certificates")
        for path in ["no.pem", directory.path + "/broken.pem", directory.path + "/empty.pem"] {
            let problems = try check([
                "--tls.certificates=\(good.files.certificate):\(good.files.key)", "--tls.client_auth=required", "--tls.client_ca=\(path)",
            ]).problems
            #expect(problems.map(\.key) == ["tls.client_ca"])
            // Also with the development certificate.
            #expect(try check(["--tls.client_auth=required", "--tls.client_ca=\(path)"]).problems.map(\.key) == ["tls.client_ca"])
        }
    }

    @Test func `all problems of all files are reported at once`() throws {
        let problems = try found([
            "--tls.certificates=no.pem:no.key,no2.pem:no2.key", "--store.kind=sqlite", "--store.path=\(directory.path)/broken.pem",
            "--upstreams.a.kind=http", "--upstreams.a.urls=https://127.0.0.1:1", "--upstreams.a.ca=no.ca", "--upstreams.b.kind=websocket",
            "--upstreams.b.urls=wss://127.0.0.1:1", "--upstreams.b.client_certificate=no.pem:no.key",
        ])
        for key in ["tls.certificates no.pem", "tls.certificates no2.pem", "upstreams.a.ca no.ca", "upstreams.b.client_certificate no.pem"]
        {
            #expect(problems.contains(key), "\(problems)")
        }
        #expect(problems.contains("store.path broken.pem"))
    }

    @Test func `a certificate that expires soon is a warning`() throws {
        let ending = try certificates.make(.init(["soon.example"], notAfter: 86_400), file: "soon")
        let check = try check(["--tls.certificates=\(ending.files.certificate):\(ending.files.key)"])
        #expect(check.problems == [])
        #expect(check.warnings.count == 1)
    }

    @Test(arguments: ["/nowhere/at/all", "no-such-program-anywhere", "not-executable", "/etc"])
    func `a missing or non-executable program is a problem`(name: String) throws {
        let directory = try TemporaryDirectory()
        try directory.write("#!/bin/sh\n", to: "not-executable")
        let program = name == "not-executable" ? directory.path + "/" + name : name
        let problems = try check(["--upstreams.a.kind=process", "--upstreams.a.command=\(program),x"]).problems
        let about = problems.filter { $0.key == "upstreams.a.command" }
        #expect(about.map(\.value) == [program])
        #expect(about.map(\.source) == ["--upstreams.a.command"])
    }

    @Test func `the store's path must be a store or a path where one can be created`() throws {
        func reason(_ path: String) throws -> String? {
            let problems = try check(["--store.kind=sqlite", "--store.path=\(path)"]).problems
            #expect(problems.allSatisfy { $0.key == "store.path" })
            return problems.first?.hint
        }
        #expect(try reason(directory.path + "/x/y/z.sqlite") == nil)
        // An empty file is a new store.
        #expect(try reason(directory.path + "/empty.pem") == nil)
        #expect(try reason(directory.path) == "not a regular file")
        #expect(try reason(directory.path + "/broken.pem")?.contains("not an SQLite file") == true)
        #expect(try reason(directory.path + "/broken.pem/x.sqlite") != nil)
        #expect(try reason("/proc/version/y.sqlite") != nil)
        var header = Array("SQLite format 3\0".utf8) + [UInt8](repeating: 0, count: 84)
        for (owner, isOurs) in [([0x50, 0x52, 0x4C, 0x59], true), ([0, 0, 0, 0], true), ([0, 0, 0, 1], false)] as [([UInt8], Bool)] {
            header.replaceSubrange(68..<72, with: owner)
            try Data(header).write(to: URL(fileURLWithPath: directory.path + "/other.sqlite"))
            #expect(try reason(directory.path + "/other.sqlite") == nil ? isOurs : !isOurs)
        }
        // The store in memory has no file.
        #expect(try check(["--store.kind=memory", "--store.path=/proc/version/y.sqlite"]).problems == [])
    }

    @Test func `the directory of the development certificate must be writable`() throws {
        #expect(try check([], stateDirectory: directory.path + "/broken.pem/var").problems.map(\.key) == ["tls.certificates"])
    }

    @Test(arguments: ["listen.address", "operations.address"]) func `a listener's address must be one of this machine`(key: String) throws {
        // TEST-NET-1 of RFC 5737, and a name reserved by RFC 2606.
        for address in ["192.0.2.1:4711", "no-such-host.invalid:4711"] {
            #expect(try check(["--\(key)=\(address)", "--operations.token=x"]).problems.map(\.key) == [key], "\(address)")
        }
        #expect(try check(["--\(key)=[::1]:0"]).problems.count <= 1)
    }
}

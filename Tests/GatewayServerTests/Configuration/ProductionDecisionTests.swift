// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOPosix
import Support
import Testing

@testable import GatewayServer
@testable import GatewayTLS

/// The decisions that production requires or wants, and their examples.
@Suite("Decisions of production") struct ProductionDecisionTests {
    private static let required = [
        "--environment=production", "--tls.certificates=a:b", "--operations.token=x", "--auth.jwks_url=https://id.example/keys",
    ]

    /// Returns the configuration error of the files and variables.
    private func error(_ yaml: String, _ arguments: [String], _ variables: [String: String] = [:]) throws -> ConfigurationError? {
        let directory = try ConfigurationDirectory(["production.yaml": yaml])
        do throws(ConfigurationError) {
            _ = try directory.load(arguments, variables)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        arguments: [
            [], ["--auth.mode=none"], ["--auth.mode=mtls"], ["--tls.client_auth=required"], ["--http.allowed_origins=*"],
            ["--conformance.echo"],
        ])
    func `each missing or forbidden setting has an example that solves it`(setting: [String]) throws {
        // The settings are in the file, which the examples replace.
        let lines = setting.map {
            $0.dropFirst(2).replacing("=", with: ": ").replacing("*", with: "[\"*\"]").replacing("echo", with: "echo: true")
        }
        var yaml = Dictionary(uniqueKeysWithValues: lines.map { (String($0.prefix { $0 != ":" }), String($0)) })
        var variables: [String: String] = [:]
        let directory = try TemporaryDirectory()
        let secret = try directory.write("0123456789abcdef0123456789abcdef\n", to: "secret")
        // An example may bring up a rule on another key.
        for _ in 0..<3 {
            let problems = try error(yaml.values.joined(separator: "\n"), ["--environment=production"], variables)?.problems ?? []
            for problem in problems {
                let example = try #require(problem.example, "\(problem)")
                #expect("\(problem)".hasSuffix("\n      example: \(example)"))
                if example.hasPrefix("PARLEY_") {
                    variables[String(example.prefix { $0 != "=" })] = secret
                } else {
                    yaml[String(example.prefix { $0 != ":" })] = example
                }
            }
        }
        #expect(try error(yaml.values.joined(separator: "\n"), ["--environment=production"], variables) == nil)
    }

    @Test func `one report lists the missing settings and the decisions left at a default`() throws {
        let found = try #require(try error("", ["--environment=production"]))
        #expect(found.problems.map(\.key) == ["tls.certificates", "operations.token", "auth.secret"])
        #expect(found.openDecisions.map { $0.prefix { $0 != " " } } == ["upstreams", "store.path"])
    }

    @Test func `each decision left at a default has an example that takes it`() throws {
        var lines = ["auth.jwks_url: https://id.example/keys"]
        let arguments = Self.required.dropLast()
        func open() throws -> [String] {
            try ConfigurationDirectory(["production.yaml": lines.joined(separator: "\n")]).load(Array(arguments)).openDecisions
        }
        var keys: [String] = []
        while let next = try open().first, keys.count < 10 {
            keys.append(String(next.prefix { $0 != " " }))
            lines.append(String(try #require(next.components(separatedBy: "; example: ").last)))
        }
        #expect(keys == ["auth.audience", "upstreams", "routes", "store.path"])
    }

    @Test func `a store in memory is a decision, and its path isn't`() throws {
        let decisions = try loadConfiguration(Self.required + ["--store.kind=memory"]).openDecisions
        #expect(decisions.filter { $0.hasPrefix("store") }.count == 1)
        #expect(decisions.contains { $0.hasPrefix("store.kind (--store.kind): a restart loses") })
    }

    @Test func `the secret of a back end needs no audience, and other environments have no decisions`() throws {
        let secret = "--auth.secret=0123456789abcdef0123456789abcdef"
        let decisions = try loadConfiguration(Self.required.dropLast() + [secret]).openDecisions
        #expect(!decisions.contains { $0.hasPrefix("auth") })
        for environment in ["development", "staging"] {
            #expect(try loadConfiguration(["--environment", environment, "--tls.certificates=a:b", secret]).openDecisions == [])
        }
    }

    @Test func `a decision whose value is invalid is only reported as a problem`() throws {
        let found = try #require(try error("", Self.required + ["--store.path="]))
        #expect(found.problems.map(\.key) == ["store.path"])
        #expect(!found.openDecisions.contains { $0.hasPrefix("store.path") })
    }

    // MARK: The shipped file

    @Test func `production.yaml leads through five decisions, and its examples are valid`() throws {
        let text = try String(contentsOfFile: Repository.path + "/config/production.yaml", encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let numbers = lines.compactMap { $0.prefixMatch(of: #/# (\d)\. /#)?.1 }
        #expect(numbers == ["1", "2", "3", "4", "5"])
        // One command for all decisions, and one for each.
        #expect(lines.count { $0.hasPrefix("#   parley ") || $0.hasPrefix("#   openssl ") } == 6)
        var yaml: [Substring] = []
        var isExample = false
        for line in lines {
            if line.wholeMatch(of: #/# [a-z]+:/#) != nil { isExample = true } else if !line.hasPrefix("#   ") { isExample = false }
            if isExample { yaml.append(line.dropFirst(2)) } else if !line.hasPrefix("#") { yaml.append(line) }
        }
        let directory = try ConfigurationDirectory(["production.yaml": yaml.joined(separator: "\n")])
        let loaded = try directory.load(["--environment=production", "--operations.token=x"])
        #expect(loaded.openDecisions == [] && loaded.warnings == [])
        for key in ["tls.certificates", "auth.jwks_url", "auth.audience", "auth.public_keys", "store.path", "operations.address"] {
            #expect(loaded.origin(key)?.source.contains("production.yaml:") == true, "\(key)")
        }
    }

    // MARK: Files

    private func check(_ arguments: [String], _ variables: [String: String] = [:]) throws -> StartupCheck {
        StartupCheck(
            try loadConfiguration(["--listen.address=127.0.0.1:0", "--operations.address=127.0.0.1:0"] + arguments, variables),
            stateDirectory: "/tmp", group: MultiThreadedEventLoopGroup.singleton, now: Int64(Date().timeIntervalSince1970))
    }

    @Test func `keys that verify and sign tokens are read and must fit their algorithm`() throws {
        let directory = try TemporaryDirectory()
        let (_, pem) = try SignatureKey.generate()
        let key = try directory.write(pem, to: "private.pem")
        let certificates = try TestCertificates()
        let issued = try certificates.make(.init(["issuer.example"]), file: "issuer")
        #expect(try check(["--auth.minting_key=ES256:\(key)", "--auth.public_keys=ES256:\(issued.files.certificate)"]).problems == [])
        for (setting, hint) in [
            ("auth.minting_key=ES384:\(key)", "the key can't be used with ES384"),
            ("auth.public_keys=ES256:\(key)", "contains a private key"),
            ("auth.public_keys=k1@RS256:\(issued.files.certificate)", "the key can't be used with RS256"),
            ("auth.public_keys=ES256:\(directory.path)/no.pem", ""), ("auth.minting_key=ES256:\(directory.path)/no.pem", ""),
        ] {
            let problems = try check(["--" + setting]).problems
            #expect(problems.map(\.key) == [String(setting.prefix { $0 != "=" })])
            #expect(problems.first?.hint?.hasPrefix(hint) == true, "\(problems)")
        }
    }

    @Test(arguments: ["{\"keys\":[]}", "{\"keys\":{}}", "[]", "", "{"])
    func `a JWK set must have a usable key`(text: String) throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write(text, to: "keys.json")
        #expect(try check(["--auth.jwks_file=\(file)"]).problems.map(\.key) == ["auth.jwks_file"])
        #expect(try check(["--auth.jwks_file=\(file)-missing"]).problems.map(\.key) == ["auth.jwks_file"])
        #expect(try check(["--auth.jwks_ca=\(file)"]).problems.map(\.key) == ["auth.jwks_ca"])
    }

    @Test(arguments: [(0o600, false), (0o640, false), (0o644, true), (0o604, true)])
    func `a file with a secret that all users can read is a warning`(mode: Int, isWarning: Bool) throws {
        let directory = try TemporaryDirectory()
        let token = try directory.write("token", to: "token")
        let (_, pem) = try SignatureKey.generate()
        let key = try directory.write(pem, to: "private.pem")
        let file = try directory.write(
            "operations:\n  address: 127.0.0.1:0\nauth:\n  secret: 0123456789abcdef0123456789abcdef\n", to: "c/staging.yaml")
        for path in [token, key, file] { try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path) }
        let certificates = try TestCertificates()
        let issued = try certificates.make(.init(["localhost"]), file: "good")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: issued.files.key)
        let arguments = [
            "--environment=staging", "--config=\(directory.path)/c", "--auth.minting_key=ES256:\(key)",
            "--tls.certificates=\(issued.files.certificate):\(issued.files.key)", "--store.kind=memory",
        ]
        let warnings = try check(arguments, ["PARLEY_OPERATIONS_TOKEN_FILE": token]).warnings.filter {
            $0.contains("readable by all users")
        }
        let expected = [token, key, file].map { path in "\(path): the file contains " }
        #expect(expected.allSatisfy { path in warnings.contains { $0.hasPrefix(path) } } == isWarning, "\(warnings)")
        #expect(warnings.isEmpty == !isWarning, "\(warnings)")
        #expect(warnings.allSatisfy { $0.contains("; example: chmod o-rwx ") })
    }
}

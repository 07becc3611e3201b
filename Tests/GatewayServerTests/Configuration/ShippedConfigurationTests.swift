// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

@testable import GatewayServer

/// Compares the files in `config/` with the table of keys: values, comments and bounds.
@Suite("The files in config/")
struct ShippedConfigurationTests {
    private static let directory = Repository.path + "/config"

    private func text(_ name: String) throws -> String {
        try String(contentsOf: URL(fileURLWithPath: "\(Self.directory)/\(name).yaml"), encoding: .utf8)
    }

    @Test func `the files of development match its built-in defaults`() throws {
        let loaded = try ConfigurationLoader.load(arguments: [], environment: [:], directory: Self.directory)
        #expect(loaded.configuration == .defaults(for: .development))
    }

    @Test func `the files of staging match its built-in defaults`() throws {
        let loaded = try ConfigurationLoader.load(
            arguments: ["--environment=staging", "--tls.certificates=a:b"], environment: [:], directory: Self.directory)
        var expected = GatewayConfiguration.defaults(for: .staging)
        expected.tls.certificates = [CertificateFiles(certificate: "a", key: "b")]
        #expect(loaded.configuration == expected)
    }

    @Test func `the files of production match its built-in defaults`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": text("gateway"), "production.yaml": text("production")])
        let loaded = try directory.load([
            "--environment=production", "--tls.certificates=a:b", "--operations.token=x", "--auth.jwks_file=keys.json",
        ])
        var expected = GatewayConfiguration.defaults(for: .production)
        expected.tls.certificates = [CertificateFiles(certificate: "a", key: "b")]
        expected.operations.token = "x"
        expected.auth.jwksFile = "keys.json"
        #expect(loaded.configuration == expected)
        #expect(
            directory.problems(["--environment=production"]).map(\.key) == ["tls.certificates", "operations.token", "auth.secret"])
    }

    @Test(arguments: ["development", "staging", "production"])
    func `an environment's file has only the keys that differ`(name: String) throws {
        let environment = try #require(DeploymentEnvironment(rawValue: name))
        let yaml = try text(name)
        for key in ConfigurationKey.all {
            let differs = key.text(.defaults(for: environment)) != key.text(GatewayConfiguration())
            #expect(entry(of: key, in: yaml) == nil || differs, "\(key.name)")
            #expect(entry(of: key, in: yaml) != nil || !differs, "\(key.name)")
        }
    }

    @Test(arguments: DeploymentEnvironment.allCases) func `a copy of gateway.yaml changes nothing`(environment: DeploymentEnvironment)
        throws
    {
        // Without the file of the environment.
        let directory = try ConfigurationDirectory(["gateway.yaml": text("gateway")])
        let none = try ConfigurationDirectory()
        let arguments = [
            "--environment", environment.rawValue, "--tls.certificates=a:b", "--operations.token=x", "--auth.jwks_file=keys.json",
        ]
        let loaded = try directory.load(arguments)
        #expect(loaded.configuration == (try none.load(arguments)).configuration)
        #expect(loaded.origins.allSatisfy { !$0.source.contains("gateway.yaml") })
    }

    @Test func `uncommented, gateway.yaml has every key at its default`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": uncommented(text("gateway"))])
        let origins = try directory.load().origins
        // Keys without a default have an example.
        let examples = [
            "tls.client_ca": "/etc/parley/clients.pem", "operations.token": ConfigurationKey.mask,
            "auth.jwks_file": "/etc/parley/jwks.json", "auth.jwks_url": "https://id.example/.well-known/jwks.json",
            "auth.jwks_ca": "/etc/parley/identity-ca.pem", "auth.minting_key": "ES256:/etc/parley/minting.pem",
            "tracing.otlp_url": "http://127.0.0.1:4318/", "store.password_file": "/etc/parley/credentials/store-password",
            "store.tls.ca": "/etc/parley/store-ca.pem", "store.tls.certificate": "/etc/parley/store.pem:/etc/parley/store-key.pem",
            "cluster.advertise": "10.0.0.5:9465",
            "cluster.secret": ConfigurationKey.mask, "cluster.tls.certificate": "/etc/parley/node.pem",
            "cluster.tls.key": "/etc/parley/node.key", "cluster.tls.ca": "/etc/parley/nodes.pem",
        ]
        for key in ConfigurationKey.all {
            let origin = try #require(origins.first { $0.key == key.name })
            #expect(origin.source.contains("gateway.yaml:"), "\(key.name)")
            #expect(origin.value == examples[key.name] ?? key.shown(in: GatewayConfiguration()), "\(key.name)")
        }
    }

    @Test(arguments: ConfigurationKey.blockGroups) func `gateway.yaml has every field of a block, at its default or with an example`(
        group: String
    ) throws {
        // Each line of a block begins with "# "; the rest is YAML.
        let lines = try text("gateway").split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0 == "# \(group):" })
        let yaml = lines[start...].prefix { $0.hasPrefix("# ") || $0 == "#" }.map { $0.dropFirst(2) }
        let block = yaml.enumerated().prefix { $0.offset == 0 || $0.element.isEmpty || $0.element.hasPrefix(" ") }.map {
            String($0.element)
        }
        let directory = try ConfigurationDirectory(["gateway.yaml": block.joined(separator: "\n")])
        // The upstreams of a route aren't in this part.
        let found = directory.problems().filter { !$0.key.hasSuffix(".upstreams") && !$0.key.hasSuffix(".urls") }
        #expect(found.isEmpty)
        let name = block[1].trimmingCharacters(in: .whitespaces).dropLast()
        let given = Set(
            block.filter { $0.hasPrefix("    ") }.compactMap { $0.trimmingCharacters(in: .whitespaces).split(separator: ":").first })
        for key in ConfigurationKey.Block(group: group, name: String(name)).keys {
            let field = try #require(key.components.last)
            #expect(given.contains(Substring(field)), "\(key.name)")
        }
    }

    @Test(arguments: ConfigurationKey.blockGroups) func `gateway.yaml has the default and the bounds of every field of a block`(
        group: String
    )
        throws
    {
        let fields = try fields(ofFirst: group)
        // Fields with an example instead of the default.
        let examples: Set = ["urls", "command", "api_key", "ca", "client_certificate", "upstreams", "secret", "rights"]
        var none = GatewayConfiguration()
        none.upstreams["x"] = .init()
        none.routes["x"] = .init()
        none.operations.tokens["x"] = .init()
        for key in ConfigurationKey.Block(group: group, name: "x").keys {
            let name = try #require(key.components.last)
            let (value, comment) = try #require(fields[name])
            #expect(examples.contains(name) || value == key.text(none) ?? "", "\(name)")
            for bound in bounds(of: key) { #expect(comment.contains(bound), "\(name): \(bound)") }
            #expect(!key.allowed.contains(", or 0 for ") || comment.contains(#/\b0( for|:) /#), "\(name)")
        }
    }

    /// Returns the value of each field of the first block of a group, and the comment above it, which several fields may share.
    private func fields(ofFirst group: String) throws -> [String: (value: String, comment: String)] {
        var fields: [String: (value: String, comment: String)] = [:]
        var comment: [String] = []
        var isComplete = false
        let lines = try text("gateway").split(separator: "\n", omittingEmptySubsequences: false)
        for line in lines.drop(while: { $0 != "# \(group):" }).dropFirst(2).prefix(while: { $0.hasPrefix("#     ") }) {
            let bare = line.dropFirst(6)
            if bare.hasPrefix("# ") {
                if isComplete { (comment, isComplete) = ([], false) }
                comment.append(String(bare.dropFirst(2)))
            } else if let colon = bare.firstRange(of: ": ") {
                isComplete = true
                fields[String(bare[..<colon.lowerBound])] = (
                    String(bare[colon.upperBound...].trimmingPrefix("\"")).replacing(#/"$/#, with: ""), comment.joined(separator: " ")
                )
            }
        }
        return fields
    }

    /// Returns the texts that the comment of a field must contain: the bounds that differ from those of its kind, and the allowed words.
    private func bounds(of key: ConfigurationKey) -> [String] {
        var bounds: [String] = []
        let allowed = key.allowed.split(separator: ", or 0 for ")[0]
        if let match = allowed.wholeMatch(of: #/a whole number from (\d+ to (\d+))/#), match.output.2 != "\(ConfigurationKey.maximumCount)"
        {
            bounds.append(String(match.output.1))
        }
        if let match = allowed.prefixMatch(of: #/a duration (from (\S+)) to/#), match.output.2 != "100ms" {
            bounds.append(String(match.output.1))
        }
        if allowed.hasPrefix("a number from 0.001 to 1"), !allowed.contains("\(ConfigurationKey.maximumCount)") { bounds.append("up to 1") }
        if let match = allowed.wholeMatch(of: #/a text of (up to \d+ bytes)/#) {
            bounds.append(String(match.output.1).replacing("32768 bytes", with: "32 KiB"))
        }
        if !key.isToggle, allowed.wholeMatch(of: #/([a-z]+, )*[a-z]+ or [a-z]+/#) != nil {
            bounds += allowed.replacing(" or ", with: ", ").split(separator: ", ").map(String.init)
        }
        return bounds
    }

    @Test func `gateway.yaml and the page state the bounds of each unit`() throws {
        let page = try String(
            contentsOf: URL(fileURLWithPath: Self.directory)
                .appendingPathComponent("../Sources/GatewayServer/Documentation.docc/Configuration.md"), encoding: .utf8)
        let times =
            "\(ConfigurationNotation.text(ConfigurationKey.minimumDuration)) to \(ConfigurationNotation.text(ConfigurationKey.maximumDuration))"
        let (largest, most) = (ConfigurationNotation.text(size: ConfigurationKey.maximumSize), "\(ConfigurationKey.maximumCount)")
        for row in ["30d` | \(times);", "1 byte to \(largest) |", "| number | digits | 1 to \(most) |", "| 0.001 to \(most) |"] {
            #expect(page.contains(row), "\(row)")
        }
        let head = try text("gateway").replacing("\n# ", with: " ")
        for sentence in ["go from \(times).", "go to \(largest).", "Whole numbers go to \(most)."] {
            #expect(head.contains(sentence), "\(sentence)")
        }
    }

    /// Returns the file with each commented key (two spaces, # and a key in lower case) uncommented.
    private func uncommented(_ yaml: String) -> String {
        yaml.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.wholeMatch(of: #/  # ([a-z_0-9.]+: .*)/#).map { "  \($0.1)" } ?? String($0) }.joined(separator: "\n")
    }

    @Test(arguments: ConfigurationKey.all.map(\.name))
    func `gateway.yaml states the meaning of a key, its default in each environment, and whether it is reloadable`(name: String) throws {
        let key = try configurationKey(name)
        let comment = try #require(entry(of: key, in: text("gateway")))
        #expect(comment.contains(key.meaning))
        let none = GatewayConfiguration()
        #expect(comment.contains("Default: \(key.text(none) ?? "none")"))
        for environment in DeploymentEnvironment.allCases {
            let value = key.shown(in: .defaults(for: environment))
            if value != key.shown(in: none) { #expect(comment.contains("\(environment.rawValue) \(value)")) }
        }
        #expect(comment.hasSuffix("Reloadable.") == key.isReloadable)
        #expect(comment.contains("Allowed: \(inBrief(key.allowed)). Default: "))
    }

    /// Returns the allowed values, without the bounds that the head of the file states for all keys of a unit.
    private func inBrief(_ allowed: String) -> String {
        allowed.replacing(" to 3650d, such as 500ms, 30s, 5m or 24h", with: "").replacing("a duration from 100ms", with: "a duration")
            .replacing("a size from 1B to 1TB, such as 4096, 100KB or 64KiB", with: "a size")
            .replacing("a whole number from 1 to \(ConfigurationKey.maximumCount)", with: "a whole number")
    }

    /// Returns the comment above a key, on one line; nil if the file doesn't have the key, commented out or not.
    private func entry(of key: ConfigurationKey, in yaml: String) -> String? {
        var group = ""
        var comment: [String] = []
        for line in yaml.split(separator: "\n", omittingEmptySubsequences: false) {
            let bare = line.trimmingCharacters(in: .whitespaces)
            if !line.hasPrefix(" "), !line.hasPrefix("#"), line.hasSuffix(":") { group = String(line.dropLast()) }
            if bare.isEmpty { comment = [] }
            let name = bare.drop { $0 == "#" || $0 == " " }
            if line.hasPrefix("  "), name.hasPrefix(key.components.dropFirst().joined(separator: ".") + ":"), group == key.components[0] {
                return comment.joined(separator: " ")
            }
            if bare.hasPrefix("#") { comment.append(bare.drop { $0 == "#" || $0 == " " }.description) }
        }
        return nil
    }
}

import Foundation
import Testing

@testable import GatewayServer

/// The files in `config/` are read by people first: what they say has to be so.
@Suite("The files in config/")
struct ShippedConfigurationTests {
    private static let directory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("config").path

    private func text(_ name: String) throws -> String {
        try String(contentsOf: URL(fileURLWithPath: "\(Self.directory)/\(name).yaml"), encoding: .utf8)
    }

    @Test func `development's are its built-in defaults`() throws {
        let loaded = try ConfigurationLoader.load(arguments: [], environment: [:], directory: Self.directory)
        #expect(loaded.configuration == .defaults(for: .development))
    }

    @Test func `staging's are its built-in defaults`() throws {
        let loaded = try ConfigurationLoader.load(
            arguments: ["--environment=staging", "--tls.certificates=a:b"], environment: [:], directory: Self.directory)
        var expected = GatewayConfiguration.defaults(for: .staging)
        expected.tls.certificates = [CertificateFiles(certificate: "a", key: "b")]
        #expect(loaded.configuration == expected)
    }

    @Test func `production's are its built-in defaults`() throws {
        // Production itself can't start yet, so its files are read in staging's place.
        let directory = try ConfigurationDirectory(["gateway.yaml": text("gateway"), "staging.yaml": text("production")])
        let loaded = try directory.load(["--environment=staging", "--tls.certificates=a:b", "--auth.mode=none"])
        var expected = GatewayConfiguration.defaults(for: .production)
        expected.environment = .staging
        expected.tls.certificates = [CertificateFiles(certificate: "a", key: "b")]
        expected.auth.mode = .none
        #expect(loaded.configuration == expected)
        #expect(
            try ConfigurationDirectory(["gateway.yaml": text("gateway"), "production.yaml": text("production")])
                .problems(["--environment=production"]).map(\.key) == ["tls.certificates", "operations.token", "auth.mode"])
    }

    @Test(arguments: ["development", "staging", "production"])
    func `an environment's file has only what differs`(name: String) throws {
        let environment = try #require(DeploymentEnvironment(rawValue: name))
        let yaml = try text(name)
        for key in ConfigurationKey.all {
            let differs = key.text(.defaults(for: environment)) != key.text(GatewayConfiguration())
            #expect(entry(of: key, in: yaml) == nil || differs, "\(key.name)")
            #expect(entry(of: key, in: yaml) != nil || !differs, "\(key.name)")
        }
    }

    @Test func `gateway.yaml has every key, at its default`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": text("gateway")])
        let origins = try directory.load().origins
        // Two have no default, and one follows another unless it is set.
        let commentedOut: Set = ["tls.client_ca", "operations.token", "connections.max_sockets"]
        for key in ConfigurationKey.all {
            let origin = try #require(origins.first { $0.key == key.name })
            #expect(origin.source.contains("gateway.yaml:") != commentedOut.contains(key.name), "\(key.name)")
            #expect(origin.value == key.shown(in: GatewayConfiguration()), "\(key.name)")
        }
    }

    @Test(arguments: ConfigurationKey.all.map(\.name))
    func `gateway.yaml says what a key means, its default in each environment, and whether it reloads`(name: String) throws {
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
        if let zero = key.allowed.split(separator: ", or 0 for ").dropFirst().first { #expect(comment.contains("or 0 for \(zero).")) }
        if !["a duration", "a size", "a whole number"].contains(where: key.allowed.hasPrefix) { #expect(comment.contains(key.allowed)) }
    }

    /// The comment above a key, on one line; nil when the file doesn't have the key, commented out or not.
    private func entry(of key: ConfigurationKey, in yaml: String) -> String? {
        var group = ""
        var comment: [String] = []
        for line in yaml.split(separator: "\n", omittingEmptySubsequences: false) {
            let bare = line.trimmingCharacters(in: .whitespaces)
            if !line.hasPrefix(" "), !line.hasPrefix("#"), line.hasSuffix(":") { group = String(line.dropLast()) }
            if bare.isEmpty { comment = [] }
            let name = bare.drop { $0 == "#" || $0 == " " }
            if line.hasPrefix("  "), name.hasPrefix(key.components[1] + ":"), group == key.components[0] {
                return comment.joined(separator: " ")
            }
            if bare.hasPrefix("#") { comment.append(bare.drop { $0 == "#" || $0 == " " }.description) }
        }
        return nil
    }
}

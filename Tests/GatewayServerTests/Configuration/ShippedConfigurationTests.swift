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
        expected.heartbeat.staleAfter = GatewayConfiguration.defaults(for: .staging).heartbeat.staleAfter
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

    @Test(arguments: DeploymentEnvironment.allCases) func `a copy of gateway.yaml changes nothing`(environment: DeploymentEnvironment)
        throws
    {
        // Alone: without the file of the environment.
        let directory = try ConfigurationDirectory(["gateway.yaml": text("gateway")])
        let none = try ConfigurationDirectory()
        // Production can't start yet, so its flags can't all be right; what it complains of must be the same.
        let arguments = ["--environment", environment.rawValue, "--tls.certificates=a:b", "--operations.token=x"]
        #expect(directory.problems(arguments) == none.problems(arguments))
        guard environment != .production else { return }
        let loaded = try directory.load(arguments)
        #expect(loaded.configuration == (try none.load(arguments)).configuration)
        #expect(loaded.origins.allSatisfy { !$0.source.contains("gateway.yaml") })
    }

    @Test func `gateway.yaml has every key, at its default, once the key is no comment`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": uncommented(text("gateway"))])
        let origins = try directory.load().origins
        // Two have no default, and one follows another unless it is set: they have an example.
        let examples = ["tls.client_ca": "/etc/parley/clients.pem", "operations.token": ConfigurationKey.mask]
        for key in ConfigurationKey.all {
            let origin = try #require(origins.first { $0.key == key.name })
            #expect(origin.source.contains("gateway.yaml:"), "\(key.name)")
            #expect(origin.value == examples[key.name] ?? key.shown(in: GatewayConfiguration()), "\(key.name)")
        }
    }

    @Test(arguments: ["upstreams", "routes"]) func `gateway.yaml has every field of a block, at its default or with an example`(
        group: String
    ) throws {
        // Each line of a block begins with "# "; the rest is YAML with comments.
        let lines = try text("gateway").split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0 == "# \(group):" })
        let yaml = lines[start...].prefix { $0.hasPrefix("# ") || $0 == "#" }.map { $0.dropFirst(2) }
        let block = yaml.enumerated().prefix { $0.offset == 0 || $0.element.isEmpty || $0.element.hasPrefix(" ") }.map {
            String($0.element)
        }
        let directory = try ConfigurationDirectory(["gateway.yaml": block.joined(separator: "\n")])
        // A route's upstreams aren't in this part.
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

    /// With each key that is a comment made a key: two blanks, # and a key in small letters.
    private func uncommented(_ yaml: String) -> String {
        yaml.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.wholeMatch(of: #/  # ([a-z_0-9]+: .*)/#).map { "  \($0.1)" } ?? String($0) }.joined(separator: "\n")
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

// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOPosix
import Support
import Testing

@testable import GatewayServer
@testable import GatewayTLS

@Suite("The files of a new gateway") struct SetupPlanTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/gateway" }

    init() throws { directory = try TemporaryDirectory() }

    private func plan(names: [String] = [], origins: [String] = [], change: (inout SetupOptions) throws -> Void = { _ in }) throws
        -> SetupPlan
    {
        var options = try SetupOptions(directory: path, names: names, origins: origins)
        try change(&options)
        return SetupPlan(options)
    }

    @discardableResult private func write(_ plan: SetupPlan, force: Bool = false) throws -> [String: SetupPlan.Outcome] {
        let now = Int64(Date().timeIntervalSince1970)
        return Dictionary(uniqueKeysWithValues: try plan.write(force: force, now: now).map { ($0.path, $0.outcome) })
    }

    /// The variables of `parley.env`.
    private func variables() throws -> [String: String] {
        let lines = try directory.read("gateway/parley.env").split(separator: "\n").filter { !$0.hasPrefix("#") }
        return Dictionary(
            uniqueKeysWithValues: lines.map { line in
                let parts = line.split(separator: "=", maxSplits: 1)
                return (String(parts[0]), String(parts[1]))
            })
    }

    private func load() throws -> LoadedConfiguration { try ConfigurationLoader.load(arguments: [], environment: variables()) }

    private func mode(_ file: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: "\(path)/\(file)")[.posixPermissions] as? Int)
    }

    // MARK: Contents

    @Test func `the files are a valid configuration of production, with every decision taken but the upstream`() throws {
        try write(plan())
        let loaded = try load()
        #expect(loaded.configuration.environment == .production)
        #expect(loaded.warnings == [])
        #expect(loaded.openDecisions.count == 1 && loaded.openDecisions[0].hasPrefix("upstreams (default): "))
        let check = StartupCheck(
            loaded, stateDirectory: path, group: MultiThreadedEventLoopGroup.singleton, now: Int64(Date().timeIntervalSince1970))
        #expect(check.problems.filter { !$0.key.hasSuffix("address") } == [])
        #expect(check.warnings == [])
        #expect(loaded.configuration.store.path == path + "/var/parley.sqlite")
        #expect(loaded.configuration.reports.content == .metadata)
    }

    @Test func `secrets and the private key are random and readable for their owner only`() throws {
        try write(plan())
        let secrets = try ["secrets/auth-secret", "secrets/operations-token"].map { file in
            #expect(try mode(file) == 0o600)
            let text = try directory.read("gateway/" + file)
            #expect(text.wholeMatch(of: #/[A-Za-z0-9_-]{43}\n/#) != nil)
            return text
        }
        #expect(secrets[0] != secrets[1])
        #expect(try load().configuration.auth.secrets == [secrets[0].trimmingCharacters(in: .newlines)])
        #expect(try mode("tls/key.pem") == 0o600)
        #expect(try mode("secrets") == 0o700 && mode("var") == 0o700)
    }

    @Test func `the certificate has the given names and those of the loopback, and is valid for a year`() throws {
        let now = Int64(Date().timeIntervalSince1970)
        try write(plan(names: ["gateway.example", "192.0.2.1"]))
        let certificate = try TLSCertificate(.init(certificate: path + "/tls/cert.pem", key: path + "/tls/key.pem"))
        #expect(certificate.names == ["gateway.example", "localhost"])
        #expect(certificate.notBefore < now && abs(certificate.notAfter - now - 365 * 86400) < 60)
    }

    @Test func `a name that is too long for the common name is only an alternative name`() throws {
        let label = String(repeating: "a", count: 63)
        try write(plan(names: ["\(label).example"]))
        let certificate = try TLSCertificate(.init(certificate: path + "/tls/cert.pem", key: path + "/tls/key.pem"))
        #expect(certificate.names == ["localhost", "\(label).example"])
    }

    @Test func `with ACME, the certificate is the one of certbot, and no key is written`() throws {
        let plan = try plan(names: ["gateway.example"]) { $0.certificate = .acme }
        #expect(plan.files.allSatisfy { !$0.path.hasPrefix("tls/") })
        try write(plan)
        let live = "/etc/letsencrypt/live/gateway.example"
        #expect(
            try load().configuration.tls.certificates == [.init(certificate: live + "/fullchain.pem", key: live + "/privkey.pem")])
        #expect(try directory.read("gateway/config/production.yaml").contains(#"--deploy-hook "systemctl reload parley""#))
        #expect(plan.nextCommands.last?.hasPrefix("parley talk wss://gateway.example:8443 --token-file") == true)
    }

    @Test(
        arguments: [
            ("http://127.0.0.1:8000/v1", nil, "qwen3 \"8b\"", UpstreamKind.openai), ("https://h.example/x", .http, nil, .http),
            ("ws://127.0.0.1:1", nil, nil, .websocket), ("wss://h.example/asr", .vosk, nil, .vosk),
        ] as [(String, UpstreamKind?, String?, UpstreamKind)])
    func `the upstream gets all requests`(url: String, kind: UpstreamKind?, model: String?, expected: UpstreamKind) throws {
        try write(plan { $0.upstream = try SetupUpstream(url: url, kind: kind, model: model) })
        let loaded = try load()
        #expect(loaded.configuration.upstreams.mapValues(\.kind) == ["main": expected])
        let endpoint = try #require(UpstreamURL(url))
        #expect(loaded.configuration.upstreams["main"]?.urls == [endpoint])
        #expect(loaded.configuration.upstreams["main"]?.model == model ?? "")
        #expect(loaded.configuration.routes.mapValues(\.upstreams) == ["all": ["main"]])
        #expect(loaded.openDecisions == [])
    }

    @Test func `web pages of the given origins may connect`() throws {
        try write(plan(origins: ["https://App.example", "null"]))
        #expect(try load().configuration.http.allowedOrigins == ["https://app.example", "null"])
    }

    // MARK: Existing files

    @Test func `a second run lists the existing files and writes nothing`() throws {
        try directory.write("mine", to: "gateway/config/production.yaml")
        let expected = SetupFault.existing([path + "/config/production.yaml"], isForced: false)
        #expect(throws: expected) { try write(plan()) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["config"])
        #expect(try directory.read("gateway/config/production.yaml") == "mine")
        #expect("\(expected)".contains("  \(path)/config/production.yaml\n"))
    }

    @Test func `force replaces texts of an earlier run and keeps secrets and certificates`() throws {
        try write(plan())
        let kept = try ["secrets/auth-secret", "secrets/operations-token", "tls/cert.pem", "tls/key.pem"].map {
            ($0, try directory.read("gateway/" + $0))
        }
        let outcomes = try write(plan(origins: ["https://app.example"]), force: true)
        for (file, text) in kept {
            #expect(try directory.read("gateway/" + file) == text)
            #expect(outcomes[file] == .kept)
        }
        #expect(outcomes["config/production.yaml"] == .replaced)
        #expect(try load().configuration.http.allowedOrigins == ["https://app.example"])
    }

    @Test func `force neither replaces the text of somebody else nor keeps half a certificate`() throws {
        try write(plan())
        try directory.write("mine", to: "gateway/parley.env")
        try FileManager.default.removeItem(atPath: path + "/tls/key.pem")
        #expect(throws: SetupFault.existing([path + "/parley.env", path + "/tls/cert.pem"], isForced: true)) {
            try write(plan(), force: true)
        }
    }

    @Test func `a link that leads nowhere counts as an existing file`() throws {
        try directory.write("", to: "gateway/secrets/x")
        try FileManager.default.createSymbolicLink(
            atPath: path + "/secrets/auth-secret", withDestinationPath: directory.path + "/elsewhere")
        #expect(throws: SetupFault.existing([path + "/secrets/auth-secret"], isForced: false)) { try write(plan()) }
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/elsewhere"))
    }

    @Test func `a directory that can't be created is an error`() throws {
        try directory.write("", to: "gateway")
        #expect(throws: SetupFault.unwritable(path, "the directory can't be created")) { try write(plan()) }
    }

    @Test func `the preview contains every path but no secret`() throws {
        let plan = try plan()
        for file in plan.files { #expect(plan.preview.contains("\(path)/\(file.path) (mode 0")) }
        #expect(plan.preview.contains("secrets/auth-secret (mode 0600): 32 random bytes"))
        #expect(plan.preview.contains("tls/key.pem (mode 0600)"))
    }

    // MARK: Services

    @Test func `the unit runs this gateway as the given user and sees its directory`() throws {
        let plan = try plan { $0.supervisor = .systemd(executable: "/opt/parley/bin/parley", user: "me", group: "us") }
        try write(plan)
        let unit = try directory.read("gateway/systemd/parley.service")
        for line in [
            "ExecStart=/opt/parley/bin/parley serve --environment production --config \(path)/config",
            "LoadCredential=auth-secret:\(path)/secrets/auth-secret", "LoadCredential=operations-token:\(path)/secrets/operations-token",
            "User=me", "Group=us", "BindReadOnlyPaths=\(path)", "BindPaths=\(path)/var",
        ] {
            #expect(unit.contains("\n\(line)\n"), "\(line)")
        }
        #expect(!unit.contains("/etc/parley"))
        #expect(try directory.read("gateway/systemd/parley.socket").contains("ListenStream=0.0.0.0:8443"))
        #expect(plan.nextCommands.first == "systemctl enable --now \(path)/systemd/parley.socket \(path)/systemd/parley.service")
    }

    @Test(arguments: [("/home/me/gateway", "tmpfs"), ("/root", "tmpfs"), ("/srv/gateway", "yes"), ("/homes", "yes")])
    func `a directory below a home is visible to the service`(directory: String, value: String) {
        let unit = ServiceUnit.service(in: directory, executable: "/usr/bin/parley", user: "a", group: "b")
        #expect(unit.contains("\nProtectHome=\(value)\n"))
    }

    private static let shippedUnits = Repository.path + "/deploy/systemd"

    @Test(.enabled(if: FileManager.default.fileExists(atPath: shippedUnits)))
    func `the embedded units are those of deploy/systemd`() throws {
        func shipped(_ name: String) throws -> String { try String(contentsOfFile: "\(Self.shippedUnits)/\(name)", encoding: .utf8) }
        #expect(ServiceUnit.shippedService == (try shipped("parley.service")))
        #expect(ServiceUnit.shippedSocket == (try shipped("parley.socket")))
    }

    @Test func `the compose file mounts the directory under its own path, for the owner of the secrets`() throws {
        let plan = try plan { $0.supervisor = .compose(version: "1.2.3", user: 1000, group: 100) }
        try write(plan)
        let text = try directory.read("gateway/compose.yaml")
        for line in ["image: parley:1.2.3", "user: \"1000:100\"", "- \(path):\(path):ro", "- \(path)/var:\(path)/var"] {
            #expect(text.contains(" \(line)\n"), "\(line)")
        }
        #expect(plan.nextCommands.first == "docker compose --file \(path)/compose.yaml up --detach --wait")
        // Without -T the file would get the carriage returns of a terminal.
        #expect(plan.nextCommands[1] == "docker compose --file \(path)/compose.yaml exec -T parley parley token --user me > me.token")
    }

    // MARK: Arguments

    @Test(
        arguments: [
            ("gateway.example", true), ("localhost", true), ("10.0.0.1", true), ("::1", true), ("a", true),
            (String(repeating: "a", count: 63) + ".example", true), (String(repeating: "a", count: 64) + ".example", false),
            (Array(repeating: "abc", count: 63).joined(separator: ".") + ".a", true),
            (Array(repeating: "abc", count: 63).joined(separator: ".") + ".ab", false),
            ("", false), (".", false), ("a..b", false), ("-a", false), ("a-", false), ("a_b", false), ("a,DNS:b", false), ("a b", false),
            ("ä.example", false), ("a.example\n", false), ("*.example", false), ("[::1]", false),
        ] as [(String, Bool)])
    func `a name is a host name or an address`(name: String, isValid: Bool) {
        #expect(SetupOptions.isHost(name) == isValid)
    }

    @Test(
        arguments: [
            ("/srv/parley", true), ("/a.b_c-d+e@f~g", true), ("/" + String(repeating: "a", count: 1023), true),
            ("/" + String(repeating: "a", count: 1024), false), ("srv", false), ("", false), ("/a b", false), ("/a:b", false),
            ("/a$b", false), ("/a%b", false), ("/a\"b", false), ("/a\nb", false), ("/ä", false),
        ] as [(String, Bool)])
    func `a directory needs no quotes in any of the files`(path: String, isValid: Bool) {
        #expect(SetupOptions.isPlain(path: path) == isValid)
        #expect(((try? SetupOptions(directory: path, names: [])) != nil) == isValid)
    }

    @Test func `invalid arguments are rejected with their reason`() {
        #expect(throws: SetupFault.name("a b")) { try SetupOptions(directory: "/a", names: ["a b"]) }
        for origin in ["*", "app.example", "https://a/b"] {
            #expect(throws: SetupFault.origin(origin)) { try SetupOptions(directory: "/a", names: [], origins: [origin]) }
        }
        for url in ["", "ftp://a", "http://u:p@a", "127.0.0.1:80"] {
            #expect(throws: SetupFault.upstream) { try SetupUpstream(url: url) }
        }
        #expect(throws: SetupFault.upstreamKind("ws", ["websocket", "vosk"])) { try SetupUpstream(url: "ws://a", kind: .openai) }
        #expect(throws: SetupFault.upstreamKind("http", ["openai", "http"])) { try SetupUpstream(url: "http://a", kind: .process) }
        #expect(throws: SetupFault.modelWithoutOpenAI) { try SetupUpstream(url: "ws://a", model: "x") }
        #expect(throws: SetupFault.model) { try SetupUpstream(url: "http://a", model: String(repeating: "m", count: 257)) }
        #expect(throws: SetupFault.model) { try SetupUpstream(url: "http://a", model: "a\nkind: process") }
        #expect(throws: Never.self) { try SetupUpstream(url: "http://a", model: String(repeating: "m", count: 256)) }
    }
}

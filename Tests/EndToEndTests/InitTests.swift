// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// `parley init`, and `parley config check` in production.
@Suite(.bounded) struct InitTests {
    private typealias Result = (status: ChildProcess.ExitStatus, lines: [String], errorLines: [String])

    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func run(_ arguments: [String], environment: [String: String] = [:]) async throws -> Result {
        try await GatewayProcess.run(arguments, directory: directory, environment: environment)
    }

    /// The variables of `parley.env`, with free ports for the listeners.
    private func environment(_ set: String) throws -> [String: String] {
        var variables = ["PARLEY_LISTEN_ADDRESS": "127.0.0.1:0", "PARLEY_OPERATIONS_ADDRESS": "127.0.0.1:0"]
        for line in try directory.read(set + "/parley.env").split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            variables[parts[0]] = parts[1]
        }
        return variables
    }

    @Test func `the files that init writes pass the check, and the gateway starts with them`() async throws {
        let result = try await run(["init", "set", "--upstream", "http://127.0.0.1:1/v1", "--upstream-model", "m"])
        #expect(result.status == 0, "\(result)")
        let environment = try environment("set")
        let check = try await run(["config", "check"], environment: environment)
        #expect(check.status == 0 && check.lines.last == "the configuration is valid", "\(check)")
        #expect(check.lines.allSatisfy { !$0.hasPrefix("warning:") }, "\(check.lines)")
        let gateway = try await GatewayProcess([:], directory: directory, environment: environment)
        let starting = try await gateway.line("starting")
        #expect(starting["environment"] == "production")
        let health = try await ChildProcess.run(
            "/usr/bin/curl", ["--silent", "http://127.0.0.1:\(gateway.operationsPort)/readyz"], directory: directory.path)
        #expect(health.lines.first?.hasPrefix("{\"status\":\"ready\"") == true, "\(health)")
        #expect(FileManager.default.fileExists(atPath: directory.path + "/set/var/parley.sqlite"))
        gateway.signal(SIGTERM)
        #expect(try await gateway.exit() == 0)
    }

    @Test func `a second init lists the existing files and changes nothing`() async throws {
        #expect(try await run(["init", "set"]).status == 0)
        let secret = try directory.read("set/secrets/auth-secret")
        let second = try await run(["init", "set"])
        #expect(second.status == 1 && second.lines.isEmpty)
        #expect(second.errorLines.first == "nothing was written, because these files exist:")
        #expect(second.errorLines.count == 9 && second.errorLines.last?.hasPrefix("hint: ") == true, "\(second.errorLines)")
        let forced = try await run(["init", "set", "--force"])
        #expect(forced.status == 0 && forced.lines.contains("  kept     secrets/auth-secret"), "\(forced)")
        #expect(try directory.read("set/secrets/auth-secret") == secret)
    }

    @Test func `with --print nothing is written and no secret is shown`() async throws {
        let result = try await run(["init", "set", "--print", "--compose", "--name", "gateway.example"])
        #expect(result.status == 0 && result.lines.contains { $0.hasSuffix("/set/compose.yaml (mode 0644):") }, "\(result)")
        #expect(result.lines.contains { $0.contains("a self-signed certificate for gateway.example, localhost, 127.0.0.1, ::1") })
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/set"))
    }

    @Test(
        arguments: [
            (["--name", "a b"], "a b is neither a host name nor an IP address"), (["--acme"], "--acme requires --name"),
            (["--systemd", "--compose"], "can't be combined"), (["--origin", "*"], "* isn't an origin"),
            (["--upstream", "nowhere"], "the upstream must be"), (["--upstream-kind", "http"], "require --upstream"),
            (["--upstream", "ws://a", "--upstream-kind", "openai"], "has the kind websocket or vosk"),
            (["a b"], "the path must consist of"),
        ])
    func `wrong usage is an error, and nothing is written`(arguments: [String], text: String) async throws {
        let result = try await run(["init"] + arguments)
        #expect(result.status == 64 && result.errorLines.contains { $0.contains(text) }, "\(result)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == [])
    }

    @Test func `systemd finds no mistake in the units`() async throws {
        #expect(try await run(["init", "set", "--systemd"]).status == 0)
        let units = directory.path + "/set/systemd"
        let result = try await ChildProcess.run(
            "/usr/bin/systemd-analyze", ["verify", "--man=no", units + "/parley.service", units + "/parley.socket"],
            directory: directory.path)
        let own = (result.lines + result.errorLines).filter { $0.contains("/set/systemd/") || $0.contains("parley.s") }
        #expect(own == [], "\(result)")
    }

    @Test func `the check of production lists every missing decision with an example and exits with 78`() async throws {
        let result = try await run(["config", "check", "--environment", "production"])
        #expect(result.status == 78)
        for example in [
            "tls.certificates: [/etc/parley/tls/cert.pem:/etc/parley/tls/key.pem]",
            "PARLEY_OPERATIONS_TOKEN_FILE=/etc/parley/credentials/operations-token",
            "PARLEY_AUTH_SECRET_FILE=/etc/parley/credentials/auth-secret",
        ] {
            #expect(result.errorLines.contains("      example: \(example)"), "\(result.errorLines)")
        }
        let warnings = result.errorLines.filter { $0.hasPrefix("warning: ") }
        #expect(warnings.count == 2 && warnings.allSatisfy { $0.contains("; example: ") }, "\(warnings)")
    }
}

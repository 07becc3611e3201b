// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Startup: arguments, subcommands, configuration files and listeners.
@Suite(.bounded) struct StartupTests {
    /// Runs the executable in its own mount namespace, after the shell command `setup`.
    private static func run(
        _ arguments: [String], in directory: TemporaryDirectory, after setup: String
    ) async throws -> (status: ChildProcess.ExitStatus, lines: [String], errorLines: [String]) {
        try await ChildProcess.run(
            "/usr/bin/unshare",
            ["--map-root-user", "--mount", "/bin/sh", "-c", "\(setup) && exec \"$0\" \"$@\"", try GatewayProcess.executable()] + arguments,
            directory: directory.path)
    }

    /// Whether the tests can hide `/proc` from a process on this machine.
    private static var canHideProc: Bool {
        get async {
            let run = try? await ChildProcess.run(
                "/usr/bin/unshare", ["--map-root-user", "--mount", "/bin/sh", "-c", "mount -t tmpfs none /proc"], directory: "/tmp")
            return run?.status == 0
        }
    }

    private static let hidden = ["mount -t tmpfs none /proc", "mount --bind /dev/null /proc/self/cmdline"]

    @Test(.enabled("needs mount namespaces") { await canHideProc }, arguments: hidden)
    func `arguments are read without /proc`(setup: String) async throws {
        let directory = try TemporaryDirectory()
        // Without its arguments the process would start with the defaults of development.
        let serve = try await Self.run(["serve", "--environment", "production"], in: directory, after: setup)
        #expect(serve.status == 78)
        #expect(serve.errorLines.joined().contains("tls.certificates"))
        let default_ = try await Self.run(["--environment=production", "--sessions.max", "many"], in: directory, after: setup)
        #expect(default_.status == 78)
        #expect(default_.errorLines.joined(separator: "\n").contains("sessions.max = many"))
        let help = try await Self.run(["--help"], in: directory, after: setup)
        #expect(help.lines.joined().contains("SUBCOMMANDS"))
        guard setup.contains("cmdline") else {
            let start = try await Self.run(
                ["serve", "--listen.address=127.0.0.1:0", "--operations.address=127.0.0.1:0"], in: directory, after: setup)
            #expect(start.status == 1 && start.lines == [])
            #expect(start.errorLines == ["/proc isn't mounted; the gateway can't run without it"])
            return
        }
        let print = try await Self.run(["config", "print", "--sessions.max=7"], in: directory, after: setup)
        #expect(print.status == 0)
        #expect(print.lines.contains { $0.contains("sessions.max ") && $0.contains("--sessions.max") })
    }

    @Test(arguments: ["prod\u{FF}", "\u{C3}"])
    func `an argument or environment variable that isn't UTF-8 exits with 78`(bytes: String) async throws {
        let directory = try TemporaryDirectory()
        // The shell produces the bytes, because a Swift string can't contain them.
        let octal = bytes.unicodeScalars.map { $0.value < 0x80 ? String($0) : "\\\(String($0.value, radix: 8))" }.joined()
        func start(_ script: String) async throws -> (status: Int32, lines: [String], errorLines: [String]) {
            try await ChildProcess.run("/bin/sh", ["-c", script, try GatewayProcess.executable()], directory: directory.path)
        }
        let argument = try await start("exec \"$0\" serve --environment \"$(printf '\(octal)')\"")
        #expect(argument.status == 78)
        #expect(argument.errorLines == ["Argument 3 isn't UTF-8."])
        let variable = try await start("PARLEY_ENVIRONMENT=\"$(printf '\(octal)')\" exec \"$0\" serve --logging.format json")
        #expect(variable.status == 78)
        #expect(variable.errorLines.joined().contains("PARLEY_ENVIRONMENT"))
    }

    // MARK: Files

    @Test func `the first log line contains the files that were read`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("sessions.max: 5\n", to: "config/gateway.yaml")
        try directory.write("sessions.max: 5\n", to: "config/gateway.yml")
        let gateway = try await GatewayProcess(directory: directory)
        let first = try #require(try gateway.log().first)
        #expect(first["msg"] == "starting")
        #expect(first["files"] == "config/gateway.yaml")
        let hint = try await gateway.line { $0["level"] == "warning" && $0["problem"].string?.contains("gateway.yml") == true }
        #expect(hint["problem"] == "config/gateway.yml isn't read; did you mean gateway.yaml?")
        try await gateway.stop()
        let bare = try await GatewayProcess(directory: TemporaryDirectory())
        #expect(try bare.log().first?["files"] == "none in config")
        try await bare.stop()
    }

    @Test(arguments: ["serve", "check"]) func `a missing directory, or one without gateway.yaml, exits with 78`(command: String)
        async throws
    {
        let directory = try TemporaryDirectory()
        try directory.write("", to: "empty/gateway.yml")
        let arguments = command == "serve" ? ["serve"] : ["config", "check"]
        for (configuration, words) in [("nowhere", "there is no such directory"), ("empty", "did you mean gateway.yaml?")] {
            let run = try await GatewayProcess.run(arguments + ["--config", configuration], directory: directory)
            #expect(run.status == 78)
            #expect(run.errorLines.joined().contains(words))
        }
    }

    @Test(arguments: ["removed", "emptied", "unreadable", "the directory moved"])
    func `a configuration that is removed at runtime is rejected, and the previous one stays in effect`(how: String) async throws {
        let directory = try TemporaryDirectory()
        let yaml = "messages:\n  unknown_fields: ignore\nlimits:\n  text_per_minute: 7\n"
        let file = try directory.write(yaml, to: "config/gateway.yaml")
        let gateway = try await GatewayProcess(directory: directory)
        switch how {
        case "removed": try FileManager.default.removeItem(atPath: file)
        case "emptied": try directory.write("", to: "config/gateway.yaml")
        case "unreadable":
            try FileManager.default.removeItem(atPath: file)
            try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: false)
        default: try FileManager.default.moveItem(atPath: directory.path + "/config", toPath: directory.path + "/aside")
        }
        // Detected by the file watcher.
        let rejected = try await gateway.line("configuration not reloaded")
        #expect(rejected["problem"].string?.contains("config/gateway.yaml") == true)
        // A second attempt has the same result.
        let asked = try await gateway.operationsResponse(
            to: HTTPRequestText("/v1/gateway/reload", method: "POST", fields: [("Host", "localhost"), ("Connection", "close")]))
        #expect(asked.status == 422)
        let client = try await gateway.client()
        try await client.send(["type": "ping", "nobody_knows": 1])
        _ = try await client.message("pong")
        // The changed file is back, and is reloaded.
        try? FileManager.default.removeItem(atPath: file)
        try directory.write(yaml.replacing("7", with: "8"), to: "config/gateway.yaml")
        let reloaded = try await gateway.line("configuration reloaded")
        #expect(reloaded["changes"] == "limits.text_per_minute")
        try await gateway.stop()
    }

    @Test func `a directory that is replaced through its link is reloaded once`() async throws {
        let directory = try TemporaryDirectory()
        // Like a ConfigMap in Kubernetes: files are links into ..data, a link that is replaced atomically.
        func version(_ name: String, _ yaml: String) throws {
            try directory.write(yaml, to: "config/\(name)/gateway.yaml")
            try FileManager.default.createSymbolicLink(atPath: directory.path + "/config/..new", withDestinationPath: name)
            rename(directory.path + "/config/..new", directory.path + "/config/..data")
        }
        try version("..1", "limits.text_per_minute: 7\n")
        try FileManager.default.createSymbolicLink(
            atPath: directory.path + "/config/gateway.yaml", withDestinationPath: "..data/gateway.yaml")
        let gateway = try await GatewayProcess(directory: directory)
        try version("..2", "limits.text_per_minute: 8\n")
        try FileManager.default.removeItem(atPath: directory.path + "/config/..1")
        #expect(try await gateway.line("configuration reloaded")["changes"] == "limits.text_per_minute")
        #expect(try gateway.log().allSatisfy { $0["msg"] != "configuration not reloaded" })
        try await gateway.stop()
    }

    // MARK: config check, print and keys

    @Test func `config check lists the files, warns, and finds the problems that serve would`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("upstreams:\n  a:\n    kind: loopback\n", to: "config/gateway.yaml")
        let good = try await GatewayProcess.run(["config", "check"], directory: directory)
        #expect(good.status == 0)
        #expect(good.lines.first == "read: config/gateway.yaml")
        #expect(good.lines.contains { $0.hasPrefix("warning: upstreams.a") })
        #expect(good.lines.last == "the configuration is valid")
        let wrong = try await GatewayProcess.run(
            ["config", "check", "--tls.certificates", "no.pem:such.key", "--store.kind=sqlite", "--store.path=config"], directory: directory
        )
        #expect(wrong.status == 78)
        let text = wrong.errorLines.joined(separator: "\n")
        for word in ["no.pem", "store.path", "not a regular file"] { #expect(text.contains(word), "\(word)") }
        let shape = try await GatewayProcess.run(["config", "check", "--sessions.max=x"], directory: directory)
        #expect(shape.status == 78)
        #expect(shape.errorLines.last == "read: config/gateway.yaml")
        // A running gateway doesn't interfere.
        let gateway = try await GatewayProcess(["store.kind": "sqlite"], directory: directory)
        let beside = try await GatewayProcess.run(
            ["config", "check", "--store.kind=sqlite", "--listen.address=127.0.0.1:\(gateway.port)"], directory: directory)
        #expect(beside.status == 0)
        try await gateway.stop()
    }

    @Test func `config print has a JSON format`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("limits.text_per_minute: 7\n", to: "config/gateway.yaml")
        let run = try await GatewayProcess.run(
            ["config", "print", "--json", "--http.allowed_origins=https://a.example,https://b.example"], directory: directory,
            environment: ["PARLEY_OPERATIONS_TOKEN": "HushHushMarker"])
        #expect(run.status == 0)
        let text = run.lines.joined(separator: "\n")
        #expect(!text.contains("HushHushMarker"))
        let json = try JSON(text)
        #expect(json["environment"] == "development")
        #expect(json["files"] == ["config/gateway.yaml"])
        #expect(json["keys"]["limits.text_per_minute"] == ["value": "7", "source": "config/gateway.yaml:1"])
        #expect(json["keys"]["http.allowed_origins"]["value"] == ["https://a.example", "https://b.example"])
        #expect(json["keys"]["operations.token"]["value"] == "********")
        #expect(json["keys"]["tls.client_ca"] == ["value": nil, "source": "default"])
    }

    @Test func `config keys lists all keys, or those with a prefix`() async throws {
        let directory = try TemporaryDirectory()
        let all = try await GatewayProcess.run(["config", "keys"], directory: directory)
        #expect(all.status == 0)
        #expect(all.lines.contains("connections.max *"))
        #expect(all.lines.contains("upstreams.<name>.urls *"))
        let some = try await GatewayProcess.run(["config", "keys", "connections.per_address"], directory: directory)
        #expect(some.lines.first == "connections.per_address *")
        #expect(some.lines.last == "    Default: 10 (development 1000).")
        #expect(some.lines.count == 4)
        let none = try await GatewayProcess.run(["config", "keys", "zebra"], directory: directory)
        #expect(none.status == 64)
        #expect(none.errorLines.joined().contains("no key begins with zebra"))
    }

    // MARK: Unknown subcommands, and help

    @Test(
        arguments: [
            (["sevre"], "unknown subcommand sevre. Did you mean serve?"), (["zebra", "--x"], "unknown subcommand zebra."),
            (["config", "chekc"], "unknown subcommand chekc. Did you mean check?"), (["sessions", "lst"], "unknown subcommand lst."),
        ])
    func `an unknown subcommand is rejected with the list of subcommands`(arguments: [String], words: String) async throws {
        let run = try await GatewayProcess.run(arguments, directory: try TemporaryDirectory())
        #expect(run.status == 64)
        let text = run.errorLines.joined(separator: "\n")
        #expect(text.contains(words))
        let isNested = arguments.count > 1 && arguments[0] != "zebra"
        #expect(text.contains(isNested ? "Subcommands of parley \(arguments[0]):" : "Subcommands of parley: serve, init, config"))
    }

    @Test(
        arguments: [
            ["serve", "--help"], ["serve", "-h"], ["help", "serve"], ["config", "--help"], ["config", "check", "--help"],
            ["config", "print", "--help"], ["help", "config", "check"],
        ])
    func `help lists the flags of the command`(arguments: [String]) async throws {
        let run = try await GatewayProcess.run(arguments, directory: try TemporaryDirectory())
        #expect(run.status == 0)
        let text = run.lines.joined(separator: "\n")
        for flag in ["--environment <name>", "--config <directory>", "--<key> <value>"] { #expect(text.contains(flag)) }
        #expect(text.contains("--json") == (arguments.contains("print")))
        #expect(!text.contains("--version"))
        #expect(!text.contains("<flags>"))
    }

    @Test func `the version is printed with the commit`() async throws {
        let run = try await GatewayProcess.run(["--version"], directory: try TemporaryDirectory())
        #expect(run.status == 0)
        #expect(run.lines.count == 1)
        // Builds by other means than deploy/build.sh don't know the commit.
        #expect(run.lines.first?.wholeMatch(of: /parley \d+\.\d+\.\d+ \((unknown|[0-9a-f]{7,40}(-dirty)?)\)/) != nil)
    }

    // MARK: Addresses

    @Test(arguments: ["listen.address", "operations.address"])
    func `a port in use is one log line with listener, address and reason`(listener: String) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let address = "127.0.0.1:\(listener == "listen.address" ? gateway.port : gateway.operationsPort)"
        let run = try await GatewayProcess.run(
            ["serve"] + GatewayProcess.arguments([listener: address]), directory: try TemporaryDirectory())
        #expect(run.status == 1)
        let grave = try run.lines.map { try JSON($0) }.filter { $0["level"] == "error" || $0["level"] == "critical" }
        #expect(grave.count == 1)
        #expect(grave.first?["msg"] == "the gateway can't run")
        #expect(grave.first?["listener"] == .string(listener))
        #expect(grave.first?["address"] == .string(address))
        #expect(grave.first?["error"] == "another process is listening on this port")
        #expect(run.errorLines == [])
    }

    @Test func `a listener address of another machine is one log line`() async throws {
        let run = try await GatewayProcess.run(
            ["serve"] + GatewayProcess.arguments(["listen.address": "192.0.2.1:4711"]), directory: try TemporaryDirectory())
        #expect(run.status == 1)
        let reason = "no network interface of this machine has this address"
        #expect(run.lines.filter { $0.contains("192.0.2.1:4711") && $0.contains(reason) }.count == 1)
    }
}

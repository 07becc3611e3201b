// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The gateway under a service manager: inherited sockets, notifications and restarts.
@Suite(.bounded) struct ServiceManagerTests {
    private static let scripts = Repository.path + "/Tests/Restart"

    /// Returns the command that executes the gateway with sockets from descriptor 3 on.
    private static func launcher(_ arguments: String...) throws -> [String] {
        [try Python.path(), scripts + "/activate.py"] + arguments + ["--"]
    }

    @Test func `the gateway serves on inherited sockets, whatever the configured addresses`() async throws {
        let gateway = try await GatewayProcess(
            ["listen.address": "192.0.2.1:8443", "operations.address": "192.0.2.1:9464", "operations.token": "sesame"],
            launcher: try Self.launcher("--kinds", "listening,listening", "--names", "operations:parley"))
        try await gateway.expectNextClientServed()
        let ready = HTTPRequestText("/readyz", fields: [("Host", "localhost"), ("Connection", "close")])
        #expect(try await gateway.operationsResponse(to: ready).status == 200)
        let warning = try await gateway.line("the service manager's socket differs from the configuration")
        #expect(warning["key"] == "listen.address" && warning["configured"] == "192.0.2.1:8443")
        gateway.signal(SIGTERM)
        #expect(try await gateway.exit() == 0)
    }

    @Test func `one unnamed socket is the TLS listener`() async throws {
        let gateway = try await GatewayProcess(launcher: try Self.launcher("--kinds", "listening"))
        try await gateway.expectNextClientServed()
        try await gateway.stop()
    }

    @Test func `sockets for another process are ignored`() async throws {
        let gateway = try await GatewayProcess(launcher: try Self.launcher("--kinds", "datagram", "--pid", "1"))
        try await gateway.expectNextClientServed()
        try await gateway.stop()
    }

    @Test(arguments: [
        (["--kinds", "bound"], "listen (descriptor 3) isn't a listening TCP socket"),
        (["--kinds", "listening,datagram"], "operations (descriptor 4) isn't a listening TCP socket"),
        (["--kinds", "listening,listening,listening"], "3 sockets were passed"),
        (["--kinds", "listening,listening", "--names", "parley"], "LISTEN_FDNAMES has 1 names for 2 sockets"),
        (["--kinds", "listening", "--names", "plain"], "passed for plain"),
    ])
    func `unusable sockets exit with 78 and the reason`(arguments: [String], reason: String) async throws {
        let directory = try TemporaryDirectory()
        let command = [try Python.path(), Self.scripts + "/activate.py"] + arguments + ["--", try GatewayProcess.executable(), "serve"]
        let result = try await ChildProcess.run(
            command[0], Array(command.dropFirst()) + GatewayProcess.arguments([:]), directory: directory.path)
        #expect(result.status == 78)
        #expect(result.lines.contains { $0.contains("sockets of the service manager can't be used") && $0.contains(reason) }, "\(result)")
    }

    @Test func `process upstreams don't get the variables of the service manager`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write(
            """
            #!/bin/sh
            while read -r line; do
                names=$(env | cut -d= -f1 | grep -E '^(LISTEN|NOTIFY|WATCHDOG|CREDENTIALS)' | tr '\\n' ' ')
                number=$(printf '%s' "$line" | sed 's/.*"request":\\([0-9]*\\).*/\\1/')
                printf '{"request":%s,"type":"text","text":"[%s]","final":true,"done":true}\\n' "$number" "$names"
            done

            """, to: "upstream.sh")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory.path + "/upstream.sh")
        let gateway = try await GatewayProcess(
            [
                "upstreams.shell.kind": "process", "routes.shell.upstreams": "shell",
                "upstreams.shell.command": directory.path + "/upstream.sh",
            ], directory: directory,
            environment: [
                "NOTIFY_SOCKET": directory.path + "/none", "WATCHDOG_USEC": "30000000", "CREDENTIALS_DIRECTORY": directory.path,
            ], launcher: try Self.launcher("--kinds", "listening"))
        let client = try await gateway.client()
        try await client.send(["type": "text", "id": "a", "text": "x"])
        _ = try await client.message("ack")
        #expect(try await client.message("text")["text"] == "[]")
        try await gateway.stop()
    }

    /// Restarts the gateway with 100 clients; `Tests/Restart/run.sh` does the same with 1,000 and a release build.
    @Test func `a restart with inherited sockets refuses no connection and loses no acknowledged text`() async throws {
        let directory = try TemporaryDirectory()
        let result = try await ChildProcess.run(
            try Python.path(),
            [
                Self.scripts + "/restart.py", "--executable", try GatewayProcess.executable(), "--clients", "100", "--drain", "10s",
            ], directory: directory.path, timeout: .seconds(90))
        #expect(result.status == 0, "\((result.lines + result.errorLines).joined(separator: "\n"))")
        #expect(result.lines.last == "PASS")
    }

    @Test func `the shipped units are valid, and the service's exposure is below 2`() async throws {
        let directory = try TemporaryDirectory()
        let units = Repository.path + "/deploy/systemd"
        // The unit's executable isn't installed on the machine that runs the tests.
        let unit = try String(contentsOfFile: units + "/parley.service", encoding: .utf8)
        try directory.write(unit.replacing("/usr/local/bin/parley", with: try GatewayProcess.executable()), to: "parley.service")
        for name in ["parley.socket", "process-upstreams.conf"] {
            try directory.write(try String(contentsOfFile: "\(units)/\(name)", encoding: .utf8), to: name)
        }
        try directory.write(
            try directory.read("parley.service") + directory.read("process-upstreams.conf"), to: "with-processes.service")
        let verified = try await ChildProcess.run(
            "/usr/bin/systemd-analyze", ["verify", "--man=no", "./parley.service", "./parley.socket", "./with-processes.service"],
            directory: directory.path)
        #expect(verified.status == 0 && verified.errorLines.isEmpty, "\(verified)")
        for name in ["parley.service", "with-processes.service"] {
            // The threshold is ten times the exposure.
            let security = try await ChildProcess.run(
                "/usr/bin/systemd-analyze", ["security", "--offline=true", "--no-pager", "--threshold=20", "./\(name)"],
                directory: directory.path)
            #expect(security.status == 0, "\(security.lines.suffix(2))")
        }
        // The supervisor waits longer than the drain.
        #expect(unit.contains("TimeoutStopSec=40s"))
    }

    @Test func `install-service installs a complete tree below DESTDIR, twice without changing secrets`() async throws {
        let directory = try TemporaryDirectory()
        let root = directory.path + "/root"
        func install(_ arguments: [String] = []) async throws -> [String] {
            let result = try await ChildProcess.run(
                Repository.path + "/deploy/install-service.sh", arguments, directory: directory.path,
                environment: ["DESTDIR": root, "PARLEY_EXECUTABLE": try GatewayProcess.executable()])
            #expect(result.status == 0, "\(result.errorLines)")
            return result.lines
        }
        let planned = try await install(["--dry-run"])
        #expect(planned.allSatisfy { $0.hasPrefix("would ") } && planned.count > 8)
        #expect(!FileManager.default.fileExists(atPath: root))

        _ = try await install(["--process-upstreams"])
        let secret = try directory.read("root/etc/parley/credentials/auth-secret")
        let token = try directory.read("root/etc/parley/credentials/operations-token")
        #expect(secret.utf8.count == 64 && token.utf8.count == 64 && secret != token)
        try directory.write("# mine\n", to: "root/etc/parley/production.yaml")
        _ = try await install()
        #expect(try directory.read("root/etc/parley/credentials/auth-secret") == secret)
        #expect(try directory.read("root/etc/parley/production.yaml") == "# mine\n")
        for (path, mode) in [
            ("usr/local/bin/parley", 0o755), ("usr/local/bin/parley-launch", 0o755), ("etc/systemd/system/parley.service", 0o644),
            ("etc/systemd/system/parley.socket", 0o644), ("etc/systemd/system/parley.service.d/process-upstreams.conf", 0o644),
            ("etc/parley/gateway.yaml", 0o644), ("etc/parley/credentials", 0o700), ("etc/parley/credentials/operations-token", 0o600),
            ("etc/parley/tls", 0o750),
        ] {
            let attributes = try FileManager.default.attributesOfItem(atPath: root + "/" + path)
            #expect((attributes[.posixPermissions] as? Int) == mode, "\(path)")
        }
        let installed = try await ChildProcess.run(root + "/usr/local/bin/parley", ["--version"], directory: directory.path)
        #expect(installed.status == 0)
    }
}

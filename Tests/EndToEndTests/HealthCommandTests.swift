// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// `parley health`, `parley config diff` and `GET /v1/gateway/configuration`.
@Suite(.bounded) struct HealthCommandTests {
    private struct Outcome: Equatable {
        var status: Int32
        var output: String

        init(_ status: Int32, _ output: String) {
            self.status = status
            self.output = output
        }
    }

    private static func run(
        _ arguments: [String], in directory: TemporaryDirectory, environment: [String: String] = [:]
    ) async throws -> Outcome {
        let result = try await GatewayProcess.run(arguments, directory: directory, environment: environment)
        return Outcome(result.status, (result.lines + result.errorLines).joined(separator: "\n"))
    }

    @Test func `health reports a ready gateway on both listeners, without a token`() async throws {
        let gateway = try await GatewayProcess(["operations.token": "sesame"])
        let address = "127.0.0.1:\(gateway.operationsPort)"
        #expect(try await Self.run(["health", "--address", address], in: gateway.directory) == Outcome(0, "ready"))
        #expect(try await Self.run(["health", "--live", "--address", address], in: gateway.directory) == Outcome(0, "live"))
        #expect(
            try await Self.run(["health", "--listen", "--address", "127.0.0.1:\(gateway.port)"], in: gateway.directory)
                == Outcome(0, "ready"))
        // The address of the local configuration.
        #expect(
            try await Self.run(
                ["health"], in: gateway.directory,
                environment: [
                    "PARLEY_OPERATIONS_ADDRESS": "0.0.0.0:\(gateway.operationsPort)",
                    "PARLEY_OPERATIONS_TOKEN": "sesame",
                ]) == Outcome(0, "ready"))
        try await gateway.stop()
    }

    @Test func `health exits with 1 and the reason while the gateway drains, and 69 when there is none`() async throws {
        let gateway = try await GatewayProcess(["shutdown.drain": "60s"])
        let address = "127.0.0.1:\(gateway.operationsPort)"
        _ = try await gateway.operationsResponse(
            to: HTTPRequestText("/v1/gateway/drain", method: "POST", fields: [("Host", "localhost"), ("Content-Length", "0")]))
        #expect(
            try await Self.run(["health", "--address", address], in: gateway.directory) == Outcome(1, "not ready: accepting: draining"))
        #expect(try await Self.run(["health", "--live", "--address", address], in: gateway.directory) == Outcome(0, "live"))
        // The public listener names the part only.
        #expect(
            try await Self.run(["health", "--listen", "--address", "127.0.0.1:\(gateway.port)"], in: gateway.directory)
                == Outcome(1, "not ready: accepting"))
        try await gateway.stop()
        let port = try ReservedPort()
        let refusing = "127.0.0.1:\(port.number)"
        #expect(
            try await Self.run(["health", "--address", refusing], in: gateway.directory)
                == Outcome(69, "unreachable: \(refusing): Connection refused"))
        withExtendedLifetime(port) {}
        #expect(try await Self.run(["health", "--address", "nonsense"], in: gateway.directory).status == 64)
        #expect(try await Self.run(["health", "--environment", "nowhere"], in: gateway.directory).status == 78)
    }

    @Test func `config diff compares the local files with the running gateway`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("limits: {text_per_minute: 4}\nsessions: {max: 50}\n", to: "config/gateway.yaml")
        try directory.write("limits: {}\n", to: "config/development.yaml")
        let secrets = ["PARLEY_OPERATIONS_TOKEN": "HushHushMarker"]
        let gateway = try await GatewayProcess(directory: directory, environment: secrets)
        let addresses = ["--listen.address", "127.0.0.1:0", "--operations.address", "127.0.0.1:0", "--logging.format", "json"]
        let arguments = ["config", "diff", "--address", "127.0.0.1:\(gateway.operationsPort)"] + addresses
        func diff(_ flags: [String] = []) async throws -> Outcome {
            try await Self.run(arguments + flags, in: directory, environment: secrets)
        }
        #expect(try await diff() == Outcome(0, ""))
        let changes = "limits:\n  text_per_minute: 8\nsessions: {max: 60}\n"
        try directory.write(changes, to: "local/gateway.yaml")
        #expect(
            try await diff(["--config", "local"])
                == Outcome(
                    1,
                    """
                    limits.text_per_minute: 4 -> 8 (local/gateway.yaml:2)  [reload]
                    sessions.max: 50 -> 60 (local/gateway.yaml:3)  [restart]
                    """
                ))
        try directory.write(changes, to: "config/gateway.yaml")
        gateway.signal(SIGHUP)
        let changed = try await gateway.line("configuration changed")
        #expect(changed["key"] == "limits.text_per_minute" && changed["old"] == "4" && changed["new"] == "8")
        let restart = try await gateway.line("restart required")
        #expect(restart["key"] == "sessions.max" && restart["old"] == "50" && restart["new"] == "60")
        _ = try await gateway.line("configuration reloaded")
        // After the reload only the key that requires a restart differs.
        #expect(try await diff() == Outcome(1, "sessions.max: 50 -> 60 (config/gateway.yaml:3)  [restart]"))
        #expect(
            try await diff(["--sessions.max", "50", "--heartbeat.interval=7s"])
                == Outcome(
                    1, "heartbeat.interval: 30s -> 7s (--heartbeat.interval)  [restart]"
                ))
        // The list of values has sources, and no secrets.
        let response = try await gateway.operationsResponse(
            to: HTTPRequestText(
                "/v1/gateway/configuration", fields: [("Host", "localhost"), ("Authorization", "Bearer HushHushMarker")]))
        #expect(response.status == 200 && !response.body.contains("HushHushMarker"))
        let keys = try response.json()["keys"]
        #expect(keys["sessions.max"] == ["value": "50", "source": "config/gateway.yaml:2"])
        #expect(keys["limits.text_per_minute"] == ["value": "8", "source": "config/gateway.yaml:2"])
        #expect(keys["operations.token"]["value"] == "********")
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/v1/gateway/configuration")).status == 401)
        try await gateway.stop()
        #expect(try await diff().status == 69)
        #expect(try await diff(["--sessions.max", "lots"]).status == 78)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayTLS
import Support
import Testing

/// The tools of operators: `parley top`, `parley logs`, the OpenAPI document, and TLS on the operations listener.
@Suite(.bounded) struct OperatorsTests {
    private static let clients = (#filePath as NSString).deletingLastPathComponent + "/Clients"

    private func parley(
        _ gateway: GatewayProcess, _ arguments: [String], address: String? = nil
    ) async throws -> (status: ChildProcess.ExitStatus, lines: [String], errorLines: [String]) {
        try await GatewayProcess.run(
            arguments + ["--address", address ?? "127.0.0.1:\(gateway.operationsPort)"], directory: gateway.directory)
    }

    private func get(_ gateway: GatewayProcess, _ target: String) async throws -> JSON {
        try await gateway.operationsResponse(
            to: HTTPRequestText(target, fields: [("Host", "localhost"), ("Connection", "close")])
        ).json()
    }

    /// Opens a session with one error, and returns the client and the session's id.
    private func session(_ gateway: GatewayProcess) async throws -> (client: TestWebSocket, id: String) {
        let client = try await gateway.client()
        try await client.send("{")
        _ = try await client.error("invalid_json")
        let page = try await get(gateway, "/v1/sessions?sort=errors")
        return (client, try #require(page["sessions"].array?.first?["session_id"].string))
    }

    @Test func `responses of the listener conform to its OpenAPI document`() async throws {
        let gateway = try await GatewayProcess()
        let (_, id) = try await session(gateway)
        let python = try Python.path().replacing("/venv/", with: "/openapi/")
        let result = try await ChildProcess.run(
            python, [Self.clients + "/openapi_check.py", "\(gateway.operationsPort)", id], directory: gateway.directory.path,
            timeout: .seconds(90))
        #expect(result.status == 0 && result.lines.last == "PASS", "\(result.lines + result.errorLines)")
        try await gateway.stop()
    }

    @Test func `top prints the figures once, as a table and as JSON, and those of a session`() async throws {
        let gateway = try await GatewayProcess()
        let (client, id) = try await session(gateway)
        var table = try await parley(gateway, ["top", "--once", "--sort", "errors"])
        // The figures are sampled once a second.
        for _ in 0..<300 where !table.lines.contains(where: { $0.contains(#/^connections +1 +1 +1000$/#) }) {
            table = try await parley(gateway, ["top", "--once", "--sort", "errors"])
        }
        #expect(table.status == 0)
        #expect(table.lines.contains { $0.contains(#/^connections +1 +1 +1000$/#) }, "\(table.lines)")
        #expect(table.lines.contains { $0.hasPrefix(id) && $0.contains("attached") })
        #expect(table.lines.contains { $0.contains("ERRORS*") })
        let json = try JSON(try await parley(gateway, ["top", "--once", "--json"]).lines.joined())
        #expect(json["overview"]["connections"]["limit"] == 1000)
        #expect((json["overview"]["descriptors"]["current"].number ?? 0) > 5)
        #expect(json["sessions"].array?.first?["errors"] == 1)
        let details = try await parley(gateway, ["top", id, "--once"])
        #expect(details.lines.first?.contains(id) == true)
        #expect(try await parley(gateway, ["top", "--json"]).status == 64)
        #expect(try await parley(gateway, ["top"]).status == 64)
        #expect(try await parley(gateway, ["top", "--once"], address: "127.0.0.1:1").status == 69)
        try await client.expectServed()
        try await gateway.stop()
    }

    @Test func `top on a terminal sorts, shows help, quits, and leaves hostile titles inert`() async throws {
        let gateway = try await GatewayProcess()
        let (client, id) = try await session(gateway)
        let patch = #"{"title":"a\u202eb\u200b"}"#
        var annotation = HTTPRequestText(
            "/v1/sessions/\(id)", method: "PATCH",
            fields: [("Host", "localhost"), ("Connection", "close"), ("Content-Length", "\(patch.utf8.count)")])
        annotation.body = patch
        let annotated = try await gateway.operationsResponse(to: annotation)
        let title = annotated.status == 200 ? #"a\u202eb"# : ""
        let result = try await ChildProcess.run(
            try Python.path(),
            [Self.clients + "/top_terminal.py", try GatewayProcess.executable(), "127.0.0.1:\(gateway.operationsPort)", title],
            directory: gateway.directory.path, environment: ["LANG": "C.UTF-8"], timeout: .seconds(90))
        #expect(result.status == 0 && result.lines.last == "PASS", "\(result.lines + result.errorLines)")
        try await client.expectServed()
        try await gateway.stop()
    }

    @Test func `logs are printed, filtered, and followed until the gateway stops`() async throws {
        let gateway = try await GatewayProcess()
        let (client, id) = try await session(gateway)
        let all = try await parley(gateway, ["logs"])
        #expect(all.status == 0)
        #expect(all.lines.contains { $0.contains("parley: starting commit=") }, "\(all.lines)")
        let some = try await parley(gateway, ["logs", "--session", id, "--json"])
        #expect(!some.lines.isEmpty)
        #expect(try some.lines.allSatisfy { try JSON($0)["session_id"] == .string(id) })
        #expect(try await parley(gateway, ["logs", "--level", "critical"]).lines.isEmpty)
        #expect(try await parley(gateway, ["logs", "--level", "loud"]).status == 64)
        let follower = try ChildProcess(
            try GatewayProcess.executable(),
            ["logs", "--follow", "--session", id, "--address", "127.0.0.1:\(gateway.operationsPort)"], directory: gateway.directory.path)
        _ = await follower.output.wait(timeout: .seconds(20)) { $0.lines.contains { $0.contains("error sent") } ? true : nil }
        try await client.send("[")
        _ = try await client.error("invalid_json")
        let lines = await follower.output.wait(timeout: .seconds(20)) { output in
            output.lines.count { $0.contains("error sent") } == 2 ? output.lines : nil
        }
        #expect(lines?.allSatisfy { $0.contains("session_id=\(id)") } == true)
        gateway.signal(SIGTERM)
        _ = try await gateway.exit()
        #expect(try await follower.exit() == 0)
    }

    @Test func `with certificates the operations listener uses TLS, and commands verify them`() async throws {
        let certificates = try TestCertificates()
        let files = try certificates.files("localhost", "127.0.0.1")
        let gateway = try await GatewayProcess([
            "operations.tls.certificates": "\(files.certificate):\(files.key)", "operations.token": "tls-secret-token",
        ])
        let token = ["--token-file", try certificates.write("tls-secret-token\n", file: "token")]
        let address = "https://localhost:\(gateway.operationsPort)"
        let listed = try await parley(gateway, ["sessions", "list", "--ca", files.certificate] + token, address: address)
        #expect(listed.status == 0, "\(listed.errorLines)")
        #expect(try await parley(gateway, ["sessions", "list"] + token, address: address).status == 69)
        #expect(try await parley(gateway, ["sessions", "list"] + token).status != 0)
        #expect(try await parley(gateway, ["health"], address: address).lines == ["ready"])
        let once = try await parley(gateway, ["top", "--once", "--ca", files.certificate] + token, address: address)
        #expect(once.status == 0, "\(once.errorLines)")
        let curl = [
            "-sS", "--cacert", files.certificate, "-H", "Authorization: Bearer tls-secret-token", "-o", "/dev/null", "-w", "%{http_code}",
        ]
        for (origin, status) in [("https://localhost", "200"), ("http://localhost", "403"), ("https://evil.example", "403")] {
            let port = origin.hasSuffix("localhost") ? ":\(gateway.operationsPort)" : ""
            let result = try await ChildProcess.run(
                "/usr/bin/curl", curl + ["-H", "Origin: \(origin)\(port)", "\(address)/v1/certificates"], directory: gateway.directory.path)
            #expect(result.lines == [status], "\(origin) \(result.errorLines)")
        }
        try await gateway.stop()
    }
}

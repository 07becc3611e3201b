// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOPosix
import Support
import Testing

/// The operations listener: token, Host, Origin, health, counters and reload.
@Suite(.bounded) struct OperationsTests {
    private static func get(_ path: String, _ fields: [(String, String)] = [], host: String = "localhost") -> HTTPRequestText {
        HTTPRequestText(path, fields: [("Host", host), ("Connection", "close")] + fields)
    }

    @Test func `with a token configured, everything but health requires it`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["operations.token": "open-sesame"])
        for path in ["/livez", "/readyz", "/health"] {
            #expect(try await gateway.operationsResponse(to: Self.get(path)).status == 200)
        }
        for authorization in [nil, "Bearer open-sesam", "Bearer open-sesame1", "Basic open-sesame", "open-sesame"] {
            let response = try await gateway.operationsResponse(
                to: Self.get("/v1/gateway", authorization.map { [("Authorization", $0)] } ?? []))
            #expect(response.status == 401)
            #expect(try response.json()["code"] == "unauthorized")
            #expect(response["www-authenticate"]?.hasPrefix("Bearer") == true)
        }
        let response = try await gateway.operationsResponse(to: Self.get("/v1/gateway", [("Authorization", "Bearer open-sesame")]))
        #expect(response.status == 200)
        #expect(try response.json()["environment"] == "development")
        #expect(!gateway.process.lines.contains { $0.contains("open-sesam") })
    }

    @Test func `requests of web pages are rejected by Host, Origin and Sec-Fetch-Site`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        #expect(try await gateway.operationsResponse(to: Self.get("/v1/gateway")).status == 200)
        #expect(
            try await gateway.operationsResponse(to: Self.get("/v1/gateway", host: "127.0.0.1:\(gateway.operationsPort)")).status == 200)
        for host in ["evil.example", "evil.example:9464", "localhost.evil.example"] {
            #expect(try await gateway.operationsResponse(to: Self.get("/v1/gateway", host: host)).status == 403)
            let health = try await gateway.operationsResponse(to: Self.get("/health", host: host))
            #expect(health.status == 200 && !health.body.contains("version"))
        }
        for origin in ["https://evil.example", "null", "http://localhost:1"] {
            #expect(try await gateway.operationsResponse(to: Self.get("/v1/gateway", [("Origin", origin)])).status == 403)
        }
        #expect(try await gateway.operationsResponse(to: Self.get("/v1/gateway", [("Sec-Fetch-Site", "cross-site")])).status == 403)
    }

    @Test func `silent connections don't block health checks and operators`() async throws {
        let gateway = try await GatewayProcess()
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        var silent: [any Channel] = []
        for number in 0..<200 {
            let channel = try await bootstrap.connect(host: "127.0.0.1", port: gateway.operationsPort).get()
            if number % 2 == 1 { try await channel.writeAndFlush(ByteBuffer(string: "GET /livez HTTP/1.1\r\nHo")) }
            silent.append(channel)
        }
        for path in ["/livez", "/readyz", "/health", "/v1/gateway"] {
            #expect(try await gateway.operationsResponse(to: Self.get(path)).status == 200)
        }
        // Every silent connection is closed at the deadline of its first request head.
        for channel in silent { try await channel.closeFuture.get() }
        try await gateway.stop()
    }

    @Test func `health is degraded by too few descriptors and by a rejected reload`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("limits: {audio_per_minute: 4}\n", to: "config/gateway.yaml")
        let gateway = try await GatewayProcess(["connections.max_sockets": "100000"], directory: directory, descriptors: 4096)
        let warning = try await gateway.line("too few file descriptors")
        #expect(warning["level"] == "warning" && warning["problem"].string?.contains("4096") == true)
        var health = try await gateway.operationsResponse(to: Self.get("/health"))
        #expect(health.status == 200)
        #expect(try health.json()["status"] == "degraded")
        #expect(health.body.contains(#"{"name":"descriptors","ready":true,"degraded":true,"reason":"the configured limits require "#))
        #expect(health.body.contains(#"{"name":"configuration","ready":true}"#))
        try directory.write("limits: {audio_per_minute: x}\n", to: "config/gateway.yaml")
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/v1/gateway/reload", method: "POST")).status == 422)
        health = try await gateway.operationsResponse(to: Self.get("/health"))
        #expect(health.body.contains(#"{"name":"configuration","ready":true,"degraded":true,"reason":"the last reload was rejected"#))
        #expect(try await gateway.operationsResponse(to: Self.get("/readyz")).json()["status"] == "ready")
        try directory.write("limits: {audio_per_minute: 5}\n", to: "config/gateway.yaml")
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/v1/gateway/reload", method: "POST")).status == 200)
        health = try await gateway.operationsResponse(to: Self.get("/health"))
        #expect(health.body.contains(#"{"name":"configuration","ready":true}"#))
        try await gateway.stop()
    }

    @Test func `counters include connections, sessions, messages, errors and closes`() async throws {
        let gateway = try await GatewayProcess(SharedGateways.withoutLimits)
        let client = try await gateway.client()
        try await client.send("{")
        _ = try await client.error("invalid_json")
        _ = try await gateway.response(to: .upgrade("/nowhere"))
        let state = try await gateway.operationsResponse(to: Self.get("/v1/gateway")).json()
        #expect(state["connections"]["open"] == 1)
        #expect(state["connections"]["accepted"] == 2)
        #expect(state["connections"]["refused"] == 1)
        #expect(state["sessions"]["attached"] == 1)
        #expect(state["errors"]["invalid_json"] == 1)
        #expect(state["errors"]["not_found"] == 1)
        #expect(state["messages"]["in"] == 1)
        #expect(state["bytes"]["in"].integer ?? 0 > 0)
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        _ = try await gateway.line { $0["msg"] == "connection closed" && $0["code"] == 1000 }
        let after = try await gateway.operationsResponse(to: Self.get("/v1/gateway")).json()
        #expect(after["connections"]["open"] == 0)
        #expect(after["closes"]["1000"] == 1)
        #expect(after["log"]["dropped"] == 0)
        try await gateway.stop()
    }

    @Test func `POST reloads the configuration and reports problems, GET is 405`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("limits: {audio_per_minute: 4}\n", to: "config/gateway.yaml")
        try directory.write("limits: {}\n", to: "config/development.yaml")
        let gateway = try await GatewayProcess(directory: directory)
        #expect(try await gateway.operationsResponse(to: Self.get("/v1/gateway/reload")).status == 405)
        try directory.write("limits: {audio_per_minute: 8}\nsessions: {max: 3}\n", to: "config/gateway.yaml")
        var request = Self.get("/v1/gateway/reload")
        request.method = "POST"
        let response = try await gateway.operationsResponse(to: request)
        #expect(response.status == 200)
        // The gateway also watches its files, and may have reloaded before the request.
        let line = try await gateway.line { ($0["changes"].string ?? "").contains("limits.audio_per_minute") }
        #expect(line["msg"] == "configuration reloaded")
        #expect(response.body.contains("sessions.max"))
        try directory.write("limits: {audio_per_minute: x}\n", to: "config/gateway.yaml")
        let rejected = try await gateway.operationsResponse(to: request)
        #expect(rejected.status == 422)
        #expect(rejected.body.contains("limits.audio_per_minute"))
        try await gateway.stop()
    }
}

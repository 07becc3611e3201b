// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// `POST /v1/gateway/drain`, and a drain with many clients.
@Suite(.bounded) struct DrainTests {
    private static let ready = HTTPRequestText("/readyz", fields: [("Host", "localhost"), ("Connection", "close")])

    private static func drain(_ gateway: GatewayProcess) async throws -> HTTPResponseText {
        try await gateway.operationsResponse(
            to: HTTPRequestText("/v1/gateway/drain", method: "POST", fields: [("Host", "localhost"), ("Content-Length", "0")]))
    }

    private static func state(_ gateway: GatewayProcess) async throws -> JSON {
        try JSON(
            try await gateway.operationsResponse(
                to: HTTPRequestText("/v1/gateway", fields: [("Host", "localhost"), ("Connection", "close")])
            ).body)
    }

    @Test func `a drain by request closes all connections, rejects new ones, and leaves the process running until SIGTERM`() async throws {
        let gateway = try await GatewayProcess(["shutdown.drain": "3s"])
        let client = try await gateway.client()
        let early = try await TestSocket.connect(port: gateway.port)
        #expect(try await Self.state(gateway)["state"] == "running")
        let response = try await Self.drain(gateway)
        #expect(response.status == 202)
        let report = try response.json()
        #expect(report["state"] == "draining" && report["connections"] == 1)
        #expect((1...3000).contains(report["deadline_ms"].integer ?? 0))
        let goaway = try await client.message("goaway")
        #expect(goaway["reason"] == "draining")
        #expect((1...1800).contains(goaway["deadline_ms"].integer ?? 0))
        let readiness = try await gateway.operationsResponse(to: Self.ready)
        #expect(readiness.status == 503 && readiness.body.contains("draining"))
        // New connections get a response, and so do those that were accepted before.
        let rejection = try await gateway.response(to: .upgrade())
        #expect(rejection.status == 503)
        #expect(try rejection.json()["code"] == "draining")
        try await early.send(HTTPRequestText.upgrade().bytes)
        #expect(try await early.receiveResponse().status == 503)
        #expect(try await gateway.response(to: HTTPRequestText("/readyz")).status == 503)
        try await client.expectServed()
        // A second request only reports.
        let again = try await Self.drain(gateway)
        #expect(try again.status == 202 && again.json()["connections"] == 1)
        let reason = try await client.expectClose(1012)
        #expect(reason.hasPrefix("draining"))
        _ = try await gateway.line("drained")
        #expect(try await Self.state(gateway)["state"] == "draining")
        #expect(try await Self.drain(gateway).json() == ["state": "draining", "deadline_ms": 0, "connections": 0])
        #expect(try await gateway.response(to: .upgrade()).status == 503)
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/livez")).status == 200)
        let start = ContinuousClock.now
        gateway.signal(SIGTERM)
        #expect(try await gateway.exit() == 0)
        #expect(ContinuousClock.now - start < .seconds(2))
    }

    @Test func `SIGTERM during a drain by request continues it and then exits`() async throws {
        let gateway = try await GatewayProcess(["shutdown.drain": "60s"])
        let client = try await gateway.client()
        _ = try await Self.drain(gateway)
        _ = try await client.message("goaway")
        gateway.signal(SIGTERM)
        _ = try await gateway.operationsResponse(to: Self.ready)
        try await client.expectServed()
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        #expect(try await gateway.exit() == 0)
        // The client got one goaway.
        #expect(try gateway.log().count { $0["msg"] == "draining" } == 1)
    }

    @Test func `a drain needs the token, and only POST is allowed`() async throws {
        let gateway = try await GatewayProcess(["operations.token": "sesame"])
        #expect(try await Self.drain(gateway).status == 401)
        let method = try await gateway.operationsResponse(
            to: HTTPRequestText("/v1/gateway/drain", fields: [("Host", "localhost"), ("Authorization", "Bearer sesame")]))
        #expect(method.status == 405)
        #expect(try await gateway.operationsResponse(to: Self.ready).status == 200)
        try await gateway.stop()
    }

    @Test func `goaway reaches many clients spread over time`() async throws {
        let gateway = try await GatewayProcess(SharedGateways.withoutLimits.merging(["shutdown.drain": "4s"]) { $1 })
        var clients: [TestWebSocket] = []
        for _ in 0..<40 { clients.append(try await gateway.client()) }
        _ = try await Self.drain(gateway)
        var deadlines: [Int] = []
        for client in clients { deadlines.append(try await client.message("goaway")["deadline_ms"].integer ?? -1) }
        // 40 connections get goaway 20 ms apart, in random order; the rest of the grace period of 2.4 s is the time of sending.
        let sorted = deadlines.sorted(by: >)
        #expect(sorted[0] <= 2400 && sorted[0] > 2000)
        #expect((600...1500).contains(sorted[0] - sorted[39]))
        #expect(Set(deadlines).count >= 5)
        #expect(deadlines != sorted)
        try await gateway.stop()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The metrics of the real executable: what clients, upstreams and the store do shows in the next scrape.
@Suite(.bounded) struct MetricsEndToEndTests {
    private static let withoutLimits: [String: String] = SharedGateways.withoutLimits

    /// One scrape: the values of the samples, by name and labels as they are written.
    private struct Scrape {
        private var values: [String: Double] = [:]

        init(_ text: String) {
            for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                guard let space = line.lastIndex(of: " ") else { continue }
                values[String(line[..<space])] = Double(line[line.index(after: space)...])
            }
        }

        subscript(_ sample: String) -> Double { values["parley_" + sample] ?? values[sample] ?? -1 }
    }

    private func scrape(_ gateway: GatewayProcess, accept: String? = nil) async throws -> Scrape {
        let fields = [("Host", "localhost"), ("Connection", "close")] + (accept.map { [("Accept", $0)] } ?? [])
        let response = try await gateway.operationsResponse(to: HTTPRequestText("/metrics", fields: fields))
        #expect(response.status == 200)
        return Scrape(response.body)
    }

    /// Scrapes until samples have these values, since the end of a connection is counted after its last frame.
    private func scrape(_ gateway: GatewayProcess, until expected: [String: Double]) async throws -> Scrape {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            let found = try await scrape(gateway)
            if expected.allSatisfy({ found[$0.key] == $0.value }) || ContinuousClock.now > deadline { return found }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    @Test func `a conversation shows in the metrics of connections, sessions, messages and voice`() async throws {
        let gateway = try await GatewayProcess(Self.withoutLimits.merging(["store.kind": "sqlite"]) { $1 })
        let client = try await gateway.client()
        try await client.send(["type": "text", "id": "m1", "text": "hello"])
        _ = try await client.collectResponse(to: "m1")
        // The loopback echoes the recording.
        let sound = Data(repeating: 1, count: 16_000).base64EncodedString()
        try await client.send([
            "type": "audio", "id": "u1", "format": ["codec": "pcm16", "rate": 8000, "channels": 1], "data": .string(sound), "final": true,
            "meta": ["echo": "audio"],
        ])
        #expect(try await client.collectResponse(to: "u1").audioBytes == 16_000)
        try await client.send(["type": "status", "id": "s1", "state": "idle", "reply_to": "u1", "played_ms": 500])
        _ = try await client.message("ack")
        try await client.send("{")
        _ = try await client.error("invalid_json")
        var metrics = try await scrape(gateway)
        #expect(metrics["connections"] == 1 && metrics["connections_accepted_total"] == 1)
        #expect(metrics[#"tls_handshakes_total{version="1.3",resumed="false"}"#] == 1 && metrics["tls_handshake_seconds_count"] == 1)
        let expiry = metrics[#"tls_certificate_expiry_timestamp_seconds{certificate="var/development-cert.pem"}"#]
        #expect(expiry > Date().timeIntervalSince1970)
        #expect(metrics[#"sessions{state="attached"}"#] == 1 && metrics[#"sessions{state="detached"}"#] == 0)
        #expect(metrics[#"messages_total{direction="in",type="text"}"#] == 1)
        #expect(metrics[#"messages_total{direction="in",type="audio"}"#] == 1)
        #expect(metrics[#"messages_total{direction="in",type="invalid"}"#] == 1)
        #expect(metrics[#"messages_total{direction="out",type="session"}"#] == 1)
        #expect(metrics[#"messages_total{direction="out",type="audio_chunk"}"#] >= 1)
        #expect(metrics[#"message_bytes_total{direction="in"}"#] > 16_000)
        #expect(metrics["message_handling_seconds_count"] == 4)
        #expect(metrics[#"errors_total{code="invalid_json"}"#] == 1)
        #expect(metrics["first_text_seconds_count"] == 1)
        #expect(metrics["first_audio_seconds_count"] == 1 && metrics[#"first_audio_seconds_bucket{le="1"}"#] == 1)
        #expect(metrics["heard_ratio_count"] == 1 && metrics["heard_ratio_sum"] == 0.5)
        #expect(metrics[#"audio_seconds_total{direction="in"}"#] == 1 && metrics[#"audio_seconds_total{direction="out"}"#] == 1)
        #expect(metrics["store_commit_seconds_count"] > 0 && metrics["store_bytes"] > 0 && metrics["store_errors_total"] == 0)
        #expect(metrics["log_lines_total"] > 0)
        #expect(metrics["process_cpu_seconds_total"] > 0 && metrics["process_resident_memory_bytes"] > 1_000_000)
        #expect(metrics["process_open_fds"] > 5 && metrics["process_max_fds"] > metrics["process_open_fds"])
        #expect(abs(metrics["process_start_time_seconds"] - Date().timeIntervalSince1970) < 600)

        metrics = try await scrape(gateway, until: [#"memory_bytes{part="base"}"#: 1024])
        #expect(metrics[#"memory_bytes{part="history"}"#] > 0 && metrics["session_memory_bytes_count"] >= 1)
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        metrics = try await scrape(gateway, until: [#"closes_total{code="1000",initiator="gateway"}"#: 1])
        // The timer fires ten times a second on each event loop.
        while metrics["event_loop_lag_seconds_count"] == 0 || metrics["connections"] > 0 { metrics = try await scrape(gateway) }
        #expect(metrics["connections"] == 0 && metrics[#"sessions_ended_total{reason="bye"}"#] == 1)
        try await gateway.stop()
    }

    @Test func `failed handshakes, rejected requests, limits and resumes are counted by their reasons`() async throws {
        let gateway = try await GatewayProcess([
            "limits.text_per_minute": "60", "limits.refusals_per_minute": "0", "auth.mode": "jwt", "auth.secret": TestToken.secret,
            "quotas.messages_per_day": "20",
        ])
        _ = try await gateway.response(to: .upgrade("/nowhere"))
        _ = try await gateway.response(to: .upgrade())
        let plain = try await TestSocket.connect(port: gateway.port, .none)
        try await plain.send(Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
        _ = try await plain.receiveResponse()
        let silent = try await TestSocket.connect(port: gateway.port, .none)
        await silent.close()
        let garbage = try await TestSocket.connect(port: gateway.port, .none)
        try await garbage.send([0x16, 3, 1, 0, 4, 1, 0, 0, 0, 0, 0, 0])
        for version in ["-tls1_3", "-tls1_2"] {
            _ = try await ChildProcess.run(
                "/bin/sh", ["-c", "exec openssl s_client -connect 127.0.0.1:\(gateway.port) \(version) </dev/null"],
                directory: gateway.directory.path)
        }
        let token = try TestToken.make("user-\(UUID())")
        func connect(_ fields: [(String, String)] = []) async throws -> (TestWebSocket, JSON) {
            let client = try await gateway.webSocket(.upgrade(adding: [("Authorization", "Bearer \(token)")] + fields))
            return (client, try await client.message("session"))
        }
        let (client, session) = try await connect()
        for number in 1...40 { try await client.send(["type": "text", "id": .string("m\(number)"), "text": "x"]) }
        try await client.send(["type": "ping", "id": "end"])
        while try await client.message()["type"] != "pong" {}
        await client.socket.reset()
        _ = try await scrape(gateway, until: [#"sessions{state="detached"}"#: 1])
        let (resumed, _) = try await connect([("Parley-Resume", session["resume_token"].string ?? "")])
        try await resumed.send(["type": "bye"])
        let metrics = try await scrape(
            gateway,
            until: [
                #"sessions_ended_total{reason="bye"}"#: 1, #"tls_handshake_failures_total{reason="closed"}"#: 1,
                #"tls_handshake_failures_total{reason="malformed"}"#: 1,
            ])
        #expect(metrics[#"connections_rejected_total{reason="not_found"}"#] == 1)
        #expect(metrics[#"connections_rejected_total{reason="unauthenticated"}"#] == 1)
        #expect(metrics[#"connections_rejected_total{reason="plain_http"}"#] == 1)
        #expect(metrics[#"tls_handshake_failures_total{reason="plain_http"}"#] == 1)
        #expect(metrics[#"tls_handshake_failures_total{reason="closed"}"#] == 1)
        #expect(metrics[#"tls_handshake_failures_total{reason="malformed"}"#] == 1)
        #expect(metrics[#"connections_rejected_total{reason="tls_handshake"}"#] == 1)
        #expect(metrics[#"tls_handshakes_total{version="1.2",resumed="false"}"#] == 1)
        #expect(metrics[#"auth_failures_total{reason="missing"}"#] == 1)
        let limited = metrics[#"rate_limited_total{rule="limits.text_per_minute"}"#]
        let quota = metrics[#"quota_exceeded_total{quota="messages_per_day"}"#]
        #expect(limited == metrics[#"errors_total{code="rate_limited"}"#] && quota == metrics[#"errors_total{code="quota_exceeded"}"#])
        #expect(limited + quota >= 20)
        #expect(metrics[#"resumes_total{outcome="resumed"}"#] == 1)
        #expect(metrics[#"closes_total{code="1006",initiator="network"}"#] == 1)
        try await gateway.stop()
    }

    @Test func `calls to upstreams are counted by their outcome, with their durations and their breaker`() async throws {
        let double = try await UpstreamDouble("http")
        let gateway = try await GatewayProcess(
            Self.withoutLimits.merging([
                "upstreams.a.kind": "http", "upstreams.a.urls": "http://127.0.0.1:\(double.port)/", "upstreams.a.retries": "0",
                "upstreams.a.breaker_failures": "2", "routes.a.upstreams": "a",
            ]) { $1 })
        let client = try await gateway.client()
        #expect(try await client.ask("one two", of: "", id: "m1").text == "ONE TWO")
        for number in 2...3 { _ = try await client.ask("error 500", of: "", id: "m\(number)") }
        let metrics = try await scrape(gateway)
        #expect(metrics[#"upstream_requests_total{upstream="a",outcome="completed"}"#] == 1)
        #expect(metrics[#"upstream_requests_total{upstream="a",outcome="failed"}"#] == 2)
        #expect(metrics[#"upstream_request_seconds_count{upstream="a"}"#] == 3)
        #expect(metrics[#"upstream_first_event_seconds_count{upstream="a"}"#] == 1)
        #expect(metrics[#"upstream_inflight{upstream="a"}"#] == 0)
        #expect(metrics[#"breaker_state{upstream="a",endpoint="127.0.0.1:\#(double.port)"}"#] == 2)
        let response = try await gateway.operationsResponse(
            to: HTTPRequestText(
                "/metrics", fields: [("Host", "localhost"), ("Accept", "application/openmetrics-text"), ("Connection", "close")]))
        let failures = response.body.split(separator: "\n").first { $0.contains(#"upstream="a",outcome="failed"}"#) } ?? ""
        let id = failures.firstMatch(of: /# \{correlation_id="(\w{26})"\}/)?.output.1
        let line = try await gateway.line { $0["correlation_id"].string == id.map(String.init) && $0["msg"] == "upstream failed" }
        #expect(line["upstream"] == "a")
        try await gateway.stop()
    }

    @Test func `a cancelled speech shows in the delay of the cancel and in the heard ratio`() async throws {
        let double = try await UpstreamDouble("openai")
        let gateway = try await GatewayProcess(
            Self.withoutLimits.merging([
                "upstreams.echo.kind": "loopback", "upstreams.voice.kind": "openai", "upstreams.voice.task": "speech",
                "upstreams.voice.urls": "http://127.0.0.1:\(double.port)/v1", "routes.a.upstreams": "echo,voice",
            ]) { $1 })
        let client = try await gateway.client()
        let output: JSON = ["modalities": ["text", "audio"]]
        try await client.send(["type": "text", "id": "m1", "text": "One sentence to say.", "output": output])
        #expect(try await client.collectResponse(to: "m1").audioBytes > 0)
        try await client.send(["type": "text", "id": "m2", "text": "stall forever", "output": output])
        try await client.send(["type": "cancel", "id": "m2"])
        _ = try await client.collectResponse(to: "m2")
        let metrics = try await scrape(gateway)
        #expect(metrics["first_audio_seconds_count"] >= 1 && metrics["first_text_seconds_count"] >= 1)
        #expect(metrics["cancel_seconds_count"] == 1 && metrics[#"cancel_seconds_bucket{le="1"}"#] == 1)
        #expect(metrics[#"audio_seconds_total{direction="out"}"#] > 0)
        #expect(metrics[#"upstream_requests_total{upstream="voice",outcome="completed"}"#] >= 1)
        try await gateway.stop()
    }
}

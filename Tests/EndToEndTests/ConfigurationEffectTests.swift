// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Tests of configuration keys that no other suite covers, and the list of the tests that cover each key.
@Suite(.bounded) struct ConfigurationEffectTests {
    /// The test that verifies the effect of each key. Each new key must be added.
    static let testedBy: [String: String] = [
        "environment": "InvalidMessageTests: in staging errors have no details",
        "listen.address": "ProcessTests: an address in use exits with 1 and a log line",
        "listen.loops": "listen loops sets the number of event loops",
        "tls.certificates": "ProcessTests: SNI chooses the certificate",
        "tls.minimum_version": "ProcessTests: TLS below the minimum version is rejected",
        "tls.handshake_timeout": "LifecycleTests: an incomplete TLS handshake is closed at its deadline, even if bytes trickle in",
        "tls.ticket_rotation": "a session ticket is valid until its key has been rotated twice",
        "tls.client_ca": "ProcessTests: with client_auth required, clients without a certificate are rejected",
        "tls.client_auth": "ProcessTests: with client_auth required, clients without a certificate are rejected",
        "http.header_timeout": "LifecycleTests: a request head that trickles in is closed at its deadline",
        "http.max_header_bytes": "UpgradeTests: a request head of http max_header_bytes is accepted, one byte more is 431",
        "http.max_headers": "UpgradeTests: http max_headers fields are accepted, one more is 431",
        "http.query_tokens": "UpgradeTests: with query_tokens credentials in the query are accepted",
        "http.allowed_origins": "UpgradeTests: only allowed origins and requests without Origin are accepted",
        "connections.max": "LimitTests: connections over the total are rejected with 503",
        "connections.max_sockets": "LimitTests: at max_sockets accepting pauses, and continues after a close",
        "connections.per_address": "LimitTests: connections over the limit of an address are rejected with 429",
        "connections.trusted_proxies": "ProxyProtocolTests: limits by address bind the announced addresses, and not the proxy",
        "listen.proxy_protocol": "ProxyProtocolTests: a proxy's header announces the client, in either version",
        "listen.plain": "ForwardedTests: the listener without TLS serves trusted proxies and closes other connections",
        "connections.handshakes_per_second": "LimitTests: connections over the handshake rate of an address are closed",
        "connections.max_age": "LifecycleTests: a connection at max_age gets goaway, then 4003",
        "websocket.max_message_bytes": "FramingTests: a message over the limit is rejected from its header alone",
        "websocket.max_fragments": "FramingTests: a message of more than max_fragments fragments closes with 1009",
        "websocket.compression": "CompressionTests: texts are compressed in both directions and returned unchanged",
        "websocket.close_timeout": "LifecycleTests: without a reply to its close frame the gateway closes after close_timeout",
        "heartbeat.interval": "LifecycleTests: pings continue while pongs arrive, and status reports the round-trip time",
        "heartbeat.timeout": "LifecycleTests: a missed pong triggers another ping; silence closes with 4001",
        "heartbeat.stale_after": "LifecycleTests: a missed pong triggers another ping; silence closes with 4001",
        "messages.max_bytes": "InvalidMessageTests: a JSON message of messages max_bytes is accepted, one byte more is message_too_large",
        "messages.max_text_bytes": "the limits of messages are configurable",
        "messages.audio_max_bytes": "the limits of messages are configurable",
        "messages.max_depth": "the limits of messages are configurable",
        "messages.unknown_fields": "InvalidMessageTests: with unknown_fields ignore an unknown field is ignored",
        "messages.max_violations": "LimitTests: more violations than allowed close the connection with 4505",
        "limits.text_per_minute": "LimitTests: texts over the limit are rejected, and retry_after_ms is exact",
        "limits.audio_per_minute": "LimitTests: audio openings over the limit are rejected, and their frames ignored",
        "limits.audio_chunks_per_second": "LimitTests: chunks over the limit are rejected, and the stream resumes",
        "limits.audio_realtime_factor": "LimitTests: audio faster than real time is too_fast",
        "limits.control_per_minute": "LimitTests: control messages share a limit; playback progress beyond it is no error",
        "limits.refusals_per_minute": "LimitTests: more rejections than allowed close the connection with 4505",
        "limits.bytes_per_second": "LimitTests: bytes over the rate limit are rejected",
        "limits.per_address_factor": "LimitTests: reconnecting doesn't reset the limits of an address",
        "limits.global_per_second": "LimitTests: the global limit applies to all sessions together",
        "sessions.max": "LimitTests: sessions over the limit are rejected with 503",
        "sessions.ttl": "LifecycleTests: a session ends with 4502 after sessions ttl",
        "sessions.idle": "LifecycleTests: an idle session ends with 4502",
        "sessions.history_messages": "the history is bounded in messages and bytes",
        "sessions.history_bytes": "the history is bounded in messages and bytes",
        "sessions.duplicate_ids": "sessions duplicate_ids bounds the recent ids",
        "sessions.outbox_messages": "the outbox is bounded in messages and bytes",
        "sessions.outbox_bytes": "the outbox is bounded in messages and bytes",
        "sessions.memory_budget": "LimitTests: requests beyond the memory budget are rejected until responses are acknowledged",
        "sessions.total_memory_budget": "new sessions are rejected when all sessions exceed the total memory budget",
        "delivery.send_timeout": "LifecycleTests: a client that doesn't read is closed as a slow consumer",
        "delivery.upstream_queue_bytes": "LimitTests: chunks beyond the upstream queue are overloaded, and the stream resumes",
        "delivery.coalesce": "UpstreamTests: deltas are coalesced for the duration of delivery coalesce",
        "delivery.socket_queue_bytes": "LimitTests: chunks beyond the upstream queue are overloaded, and the stream resumes",
        "sessions.max_detached": "ResumeEndToEndTests: at max_detached other addresses are rejected, the same one evicts its session",
        "sessions.resume_window": "ResumeEndToEndTests: a detached session expires after sessions resume_window",
        "push.undelivered_max": "PushTests: a push whose time to live is over is undelivered and isn't delivered on resume",
        "supervision.takeover_timeout": "PushTests: a takeover ends when the operator is idle",
        "store.kind": "StoreEndToEndTests: a conversation survives SIGKILL of the gateway",
        "store.path": "StoreEndToEndTests: a conversation survives SIGKILL of the gateway",
        "store.synchronous": "StoreEndToEndTests: store synchronous is applied, and the file has mode 0600",
        "store.max_bytes": "StoreEndToEndTests: a full store rejects requests until there is space",
        "reports.keep": "SessionReportEndToEndTests: reports survive restarts until reports keep expires",
        "reports.content": "SessionOperationsTests: with reports content metadata a report contains no texts",
        "operations.address": "ProcessTests: an unsupported or contradictory configuration exits with 78",
        "operations.token": "OperationsTests: with a token configured, everything but health requires it",
        "logging.level": "ProcessTests: logging level sets the level of the log",
        "logging.format": "ProcessTests: the console format isn't JSON",
        "shutdown.drain": "ProcessTests: a client that doesn't reply to the close frame is disconnected within the drain",
        "store.urls": "ClusterTests: a session moves to the node that its client resumes it on, and its old connection is closed with 4503",
        "store.prefix": "SharedStoreTests: a user with a password writes below the prefix, and an ack waits for the disk",
        "store.user": "SharedStoreTests: a user with a password writes below the prefix, and an ack waits for the disk",
        "store.password_file": "SharedStoreTests: a user with a password writes below the prefix, and an ack waits for the disk",
        "store.acknowledge": "SharedStoreTests: a user with a password writes below the prefix, and an ack waits for the disk",
        "store.replicas": "SharedStoreTests: an ack waits for a replica",
        "store.acknowledge_timeout": "SharedStoreTests: an ack waits for a replica",
        "store.tls.ca": "SharedStoreTests: the server's certificate is verified, and it can require one of the gateway",
        "store.tls.certificate": "SharedStoreTests: the server's certificate is verified, and it can require one of the gateway",
        "cluster.node": "ClusterTests: a node takes the place of a dead process of its name at once",
        "cluster.lease": "ClusterTests: the session of a killed node is claimed once its lease has ended",
        "cluster.listen": "NodeLinksTests: requests in both directions use one link",
        "cluster.advertise": "ConfigurationRulesTests: the listener of a cluster requires authentication and an address for others",
        "cluster.secret": "NodeLinksTests: a wrong secret is rejected on both sides, and logged without it",
        "cluster.tls.certificate": "NodeLinksTests: nodes with certificates of the same authority are linked, and others aren't",
        "cluster.tls.key": "NodeLinksTests: nodes with certificates of the same authority are linked, and others aren't",
        "cluster.tls.ca": "NodeLinksTests: nodes with certificates of the same authority are linked, and others aren't",
        "connections.per_user":
            "AccessTests: a user's connection above the limit closes the oldest with 4504, whose session can be resumed",
        "connections.when_full":
            "AccessTests: with when_full reject, a user's connection above the limit gets 429, but may take its own session over",
        "auth.mode": "AccessTests: a request without a token gets 401 with WWW-Authenticate, and the next one with a token is accepted",
        "auth.secret": "AccessTests: rejected tokens get 401 and the log says why, without the token",
        "auth.leeway":
            "AccessTests: a token that expires in mid-connection is announced, closes with 4501, and a fresh one resumes the session",
        "auth.failures_per_minute":
            "AccessTests: a hundred resumes with an expired token are rejected, and the session waits for a fresh one",
        "auth.issuer": "AccessTests: issuer, audience, user claim, lifetime and factor are configurable",
        "auth.audience": "AccessTests: issuer, audience, user claim, lifetime and factor are configurable",
        "auth.user_claim": "AccessTests: issuer, audience, user claim, lifetime and factor are configurable",
        "auth.max_lifetime": "AccessTests: issuer, audience, user claim, lifetime and factor are configurable",
        "auth.claims_factor": "AccessTests: issuer, audience, user claim, lifetime and factor are configurable",
        "auth.public_keys": "KeySourceTests: tokens are verified by public keys, a JWK set file and a JWK set URL",
        "auth.jwks_file": "KeySourceTests: tokens are verified by public keys, a JWK set file and a JWK set URL",
        "auth.jwks_url": "KeySourceTests: tokens are verified by public keys, a JWK set file and a JWK set URL",
        "auth.jwks_ca": "KeySourceTests: tokens are verified by public keys, a JWK set file and a JWK set URL",
        "auth.jwks_refresh": "JWKSetSourceTests: the set is fetched again when the refresh interval has passed",
        "auth.jwks_minimum_interval": "JWKSetSourceTests: a failed first fetch is retried after the minimum interval, then less often",
        "auth.minting_key": "KeySourceTests: minted tokens are signed with the minting key",
        "quotas.messages_per_day": "QuotaTests: a token's quota replaces the configured one, is announced, and rejects requests beyond it",
        "quotas.audio_seconds_in_per_day": "SessionQuotaTests: a chunk beyond the quota of audio ends the request of the stream",
        "quotas.audio_seconds_in_per_month": "SessionQuotaTests: a chunk beyond the quota of audio ends the request of the stream",
        "quotas.audio_seconds_out_per_day": "SessionQuotaTests: audio of another upstream ends with the chunk that uses up the quota",
        "quotas.audio_seconds_out_per_month": "SessionQuotaTests: audio of another upstream ends with the chunk that uses up the quota",
        "quotas.input_tokens_per_day": "SessionQuotaTests: reported tokens replace the estimates",
        "quotas.input_tokens_per_month": "SessionQuotaTests: reported tokens replace the estimates",
        "quotas.output_tokens_per_day": "SessionQuotaTests: reported tokens replace the estimates",
        "quotas.output_tokens_per_month": "SessionQuotaTests: reported tokens replace the estimates",
        "quotas.cost_per_day": "SessionQuotaTests: a quota of cost ends the response",
        "quotas.cost_per_month": "SessionQuotaTests: a quota of cost ends the response",
        "quotas.messages_per_month": "SessionQuotaTests: the quota of a month is reset with the month",
        "operations.tls.certificates":
            "OperatorsTests: with certificates the operations listener uses TLS, and commands verify them",
        "audit.path": "AuditTests: SIGHUP begins a new file that continues the chain",
        "audit.queue": "AuditTests: on a full disk the gateway serves clients, reports a degraded part, and counts lost records",
        "tracing.otlp_url": "TracingTests: the loopback has traces, too",
        "tracing.sample": "TracingTests: without a client's trace each message is a trace that is linked to its connection",
        "tracing.keep_slower_than": "TracingTests: a message that is slower than tracing.keep_slower_than is kept",
        "tracing.keep_failed": "TracingTests: only failed messages are kept with tracing.sample 0, with the correlation id of the error",
        "tracing.queue": "TracePolicyTests: the queue drops and counts the spans of a message that don't fit",
        "demo.enabled": "PublicAssetTests: without demo.enabled there is no demo page, and production rejects it",
        "conformance.echo": "the echo path returns messages without parsing them",
    ]

    /// Keys without an observable effect: they are parsed and validated, which the configuration's own tests verify.
    static let withoutEffect: Set<String> = [

        // Sessions expire by timers, so the memory that the sweep frees isn't observable.
        "sessions.sweep"
    ]

    @Test func `every key is covered by a test or listed as having no effect`() async throws {
        let printed = try await GatewayProcess.run(["config", "print"], directory: try TemporaryDirectory())
        let keys = Set(printed.lines.compactMap { $0.split(separator: " ").first.map(String.init) })
        #expect(keys.count > 60)
        #expect(keys == Set(Self.testedBy.keys).union(Self.withoutEffect))
    }

    @Test(arguments: [1, 3])
    func `listen loops sets the number of event loops`(loops: Int) async throws {
        let gateway = try await SharedGateways.withoutLimits(["listen.loops": "\(loops)"])
        #expect(try await gateway.line("starting")["loops"].integer == loops)
    }

    @Test func `the limits of messages are configurable`() async throws {
        let gateway = try await SharedGateways.withoutLimits([
            "messages.max_text_bytes": "10", "messages.audio_max_bytes": "8", "messages.max_depth": "2",
            "messages.unknown_fields": "ignore",
        ])
        let client = try await gateway.client()
        try await client.send(["type": "text", "id": "a", "text": "0123456789"])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send(["type": "text", "id": "b", "text": "0123456789a"])
        _ = try await client.error("message_too_large")
        try await client.send(["type": "ping", "x": []])
        _ = try await client.message("pong")
        try await client.send(["type": "ping", "x": [[]]])
        _ = try await client.error("invalid_json")
        try await client.send(["type": "audio", "id": "u", "format": AudioTests.format])
        _ = try await client.message("ack")
        try await client.send(binary: [UInt8](repeating: 0, count: 8))
        try await client.send(binary: [UInt8](repeating: 0, count: 10))
        #expect(try await client.messagePastAcks("error")["error"]["code"] == "audio_too_large")
    }

    /// Sends `count` texts of 1000 bytes, and returns the memory usage that `status` reports after their responses.
    private func memory(after count: Int, _ flags: [String: String]) async throws -> JSON {
        let client = try await SharedGateways.withoutLimits(flags).client()
        let text = JSON.string(String(repeating: "t", count: 1000))
        for number in 0..<count {
            try await client.send(["type": "text", "id": .string("m\(number)"), "text": text])
            _ = try await client.message("ack")
            _ = try await client.message("text")
        }
        try await client.send(["type": "status"])
        return try await client.message("status")["memory"]
    }

    @Test func `the history is bounded in messages and bytes`() async throws {
        let all = try await memory(after: 40, [:])["history"].integer ?? 0
        #expect(all >= 80_000)
        #expect(try await memory(after: 40, ["sessions.history_messages": "4"])["history"].integer ?? .max < 20_000)
        #expect(try await memory(after: 40, ["sessions.history_bytes": "4KB"])["history"].integer ?? .max < 20_000)
        #expect(try await memory(after: 5, ["sessions.history_bytes": "0"])["history"].integer ?? .max < 1000)
    }

    @Test func `the outbox is bounded in messages and bytes`() async throws {
        #expect(try await memory(after: 40, [:])["outbox"].integer ?? 0 >= 40_000)
        #expect(try await memory(after: 40, ["sessions.outbox_messages": "4"])["outbox"].integer ?? .max < 20_000)
        #expect(try await memory(after: 40, ["sessions.outbox_bytes": "4KB"])["outbox"].integer ?? .max < 20_000)
    }

    @Test func `acknowledged messages are removed from the outbox`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        func outbox() async throws -> Int {
            try await client.send(["type": "status"])
            return try await client.message("status")["memory"]["outbox"].integer ?? -1
        }
        let text = JSON.string(String(repeating: "t", count: 50_000))
        try await client.send(["type": "text", "id": "m", "text": text])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        #expect(try await outbox() >= 50_000)
        try await client.send(["type": "ack", "seq": 1])
        #expect(try await outbox() < 50_000)
    }

    @Test func `sessions duplicate_ids bounds the recent ids`() async throws {
        let client = try await SharedGateways.withoutLimits(["sessions.duplicate_ids": "2"]).client()
        func send(_ id: String) async throws -> JSON {
            try await client.send(["type": "text", "id": .string(id), "text": "x"])
            let ack = try await client.message("ack")
            if ack["duplicate"].isNull { _ = try await client.message("text") }
            return ack["duplicate"]
        }
        for id in ["a", "b"] { #expect(try await send(id).isNull) }
        for id in ["a", "b"] { #expect(try await send(id) == true) }
        #expect(try await send("c").isNull)
        #expect(try await send("b") == true)
        #expect(try await send("a").isNull)
    }

    @Test func `new sessions are rejected when all sessions exceed the total memory budget`() async throws {
        let gateway = try await GatewayProcess(
            SharedGateways.withoutLimits.merging(["sessions.total_memory_budget": "100KB", "sessions.sweep": "100ms"]) { $1 })
        let client = try await gateway.client()
        // The response stays in the outbox until it is acknowledged.
        try await client.send(["type": "text", "id": "m", "text": .string(String(repeating: "t", count: 95_000))])
        _ = try await client.message("ack")
        let reply = try await client.message("text")
        var rejected: HTTPResponseText?
        for _ in 0..<100 where rejected == nil {
            let response = try await gateway.response(to: .upgrade())
            if response.status != 101 { rejected = response } else { try await Task.sleep(for: .milliseconds(50)) }
        }
        let response = try #require(rejected)
        #expect(response.status == 503)
        #expect(try response.json()["code"] == "overloaded")
        #expect(response["retry-after"] != nil)
        try await gateway.webSocket(.upgrade("/v1/ws?errors=inband")).expectFatalError("overloaded", 1013)
        try await client.expectServed()
        try await client.send(["type": "ack", "seq": reply["seq"]])
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        try await gateway.eventuallyServes()
        try await gateway.stop()
    }

    @Test func `the echo path returns messages without parsing them`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["conformance.echo": "true"])
        let client = try await gateway.webSocket(.upgrade("/echo"))
        try await client.send("{ not JSON")
        #expect(try await client.next() == .text("{ not JSON"))
        let big = [UInt8](repeating: 7, count: 3_000_000)
        try await client.send(binary: big)
        #expect(try await client.binary() == big)
        try await client.send(TestFrame(3))
        try await client.expectClose(1002)
        try await gateway.client().expectServed()
    }

    @Test(arguments: ["12h", "1s"])
    func `a session ticket is valid until its key has been rotated twice`(rotation: String) async throws {
        let gateway = try await SharedGateways.withoutLimits(["tls.ticket_rotation": rotation])
        let directory = try TemporaryDirectory()
        func connect(_ arguments: [String]) async throws -> [String] {
            try await ChildProcess.run(
                "/usr/bin/openssl", ["s_client", "-connect", "127.0.0.1:\(gateway.port)", "-tls1_2"] + arguments, directory: directory.path
            ).lines
        }
        _ = try await connect(["-sess_out", "ticket"])
        func isResumed() async throws -> Bool { try await connect(["-sess_in", "ticket"]).contains { $0.hasPrefix("Reused") } }
        guard rotation == "1s" else {
            #expect(try await isResumed())
            return
        }
        for _ in 0..<100 {
            if try await !isResumed() { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        Issue.record("the ticket is still accepted")
    }
}

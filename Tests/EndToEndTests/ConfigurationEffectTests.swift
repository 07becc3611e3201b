import Support
import Testing

/// Keys whose effect no other suite shows, and the list of where each key's effect is shown.
@Suite(.bounded) struct ConfigurationEffectTests {
    /// Every key: the test that sees it act. A new key has to be entered here.
    static let seenIn: [String: String] = [
        "environment": "InvalidMessageTests: staging tells no details",
        "listen.address": "ProcessTests: an address that is taken exits 1 and says so",
        "listen.loops": "the number of event loops",
        "tls.certificates": "ProcessTests: SNI chooses the certificate",
        "tls.minimum_version": "ProcessTests: TLS below the minimum is refused",
        "tls.handshake_timeout": "LifecycleTests: a handshake that doesn't end is cut",
        "tls.ticket_rotation": "a ticket is good until its key has rotated twice",
        "tls.client_ca": "ProcessTests: clients show a certificate where one is required",
        "tls.client_auth": "ProcessTests: clients show a certificate where one is required",
        "http.header_timeout": "LifecycleTests: a request head that trickles is cut at its deadline",
        "http.max_header_bytes": "UpgradeTests: a request head of http max_header_bytes is taken and one byte more isn't",
        "http.max_headers": "UpgradeTests: http max_headers fields are taken and one more isn't",
        "http.query_tokens": "UpgradeTests: credentials in the query are taken where the configuration says so",
        "http.allowed_origins": "UpgradeTests: an origin that isn't allowed is refused",
        "connections.max": "LimitTests: connections over the total are refused with 503",
        "connections.max_sockets": "LimitTests: at max_sockets accepting pauses and goes on",
        "connections.per_address": "LimitTests: connections of one address are refused with 429",
        "connections.trusted_proxies": "ProcessTests: what can't be served exits 78",
        "connections.handshakes_per_second": "LimitTests: handshakes over the rate of an address are closed",
        "connections.max_age": "LifecycleTests: an old connection gets goaway, then 4003",
        "websocket.max_message_bytes": "FramingTests: a message over the limit is refused from its header alone",
        "websocket.max_fragments": "FramingTests: more than max_fragments fragments are too big",
        "websocket.compression": "CompressionTests: texts go both ways compressed and come back whole",
        "websocket.close_timeout": "LifecycleTests: a close frame that isn't answered is awaited for close_timeout",
        "heartbeat.interval": "LifecycleTests: pings carry on while pongs come",
        "heartbeat.timeout": "LifecycleTests: a silent connection is closed as stale",
        "heartbeat.stale_after": "LifecycleTests: a silent connection is closed as stale",
        "messages.max_bytes": "InvalidMessageTests: a JSON message of messages max_bytes is taken and one byte more isn't",
        "messages.max_text_bytes": "limits of messages are configured",
        "messages.audio_max_bytes": "limits of messages are configured",
        "messages.max_depth": "limits of messages are configured",
        "messages.unknown_fields": "InvalidMessageTests: an unknown field is ignored where the configuration says so",
        "messages.max_violations": "LimitTests: more violations than allowed end in 4505",
        "limits.text_per_minute": "LimitTests: texts over the limit are refused",
        "limits.audio_per_minute": "LimitTests: audio openings over the limit are refused",
        "limits.audio_chunks_per_second": "LimitTests: chunks over the limit are refused",
        "limits.audio_realtime_factor": "LimitTests: audio faster than real time is too_fast",
        "limits.control_per_minute": "LimitTests: control messages share a limit",
        "limits.refusals_per_minute": "LimitTests: more refusals than allowed end in 4505",
        "limits.bytes_per_second": "LimitTests: bytes over the limit are refused",
        "limits.per_address_factor": "LimitTests: reconnecting doesn't renew the limits of an address",
        "limits.global_per_second": "LimitTests: all sessions together are bound by the global limit",
        "sessions.max": "LimitTests: sessions over the limit are refused with 503",
        "sessions.ttl": "LifecycleTests: a session ends when its time is up",
        "sessions.idle": "LifecycleTests: a session that is idle ends",
        "sessions.history_messages": "the history is bounded in messages and bytes",
        "sessions.history_bytes": "the history is bounded in messages and bytes",
        "sessions.duplicate_ids": "only so many ids are remembered",
        "sessions.outbox_messages": "the outbox is bounded in messages and bytes",
        "sessions.outbox_bytes": "the outbox is bounded in messages and bytes",
        "sessions.memory_budget": "LimitTests: work beyond the memory budget is refused, and taken again",
        "sessions.total_memory_budget": "when all sessions hold too much new ones are refused",
        "delivery.send_timeout": "LifecycleTests: a client that doesn't read is a slow consumer",
        "delivery.upstream_queue_bytes": "LimitTests: chunks that the upstream can't take are overloaded",
        "delivery.coalesce": "UpstreamTests: streamed text is gathered for as long as is configured",
        "delivery.socket_queue_bytes": "LimitTests: chunks that the upstream can't take are overloaded",
        "sessions.max_detached": "ResumeEndToEndTests: sessions that wait are limited",
        "sessions.resume_window": "ResumeEndToEndTests: a session waits as long as is configured",
        "store.kind": "StoreEndToEndTests: a conversation survives the gateway's death",
        "store.path": "StoreEndToEndTests: a conversation survives the gateway's death",
        "store.synchronous": "StoreEndToEndTests: the file is written as is configured",
        "store.max_bytes": "StoreEndToEndTests: a full store refuses work until there is room",
        "reports.keep": "SessionReportEndToEndTests: reports outlive the gateway for as long as is configured",
        "reports.content": "SessionOperationsTests: reports of metadata hold nothing of what was said",
        "operations.address": "ProcessTests: what can't be served exits 78",
        "operations.token": "OperationsTests: all but health needs the token when there is one",
        "logging.level": "ProcessTests: the level of the log is configured",
        "logging.format": "ProcessTests: the console format is for people",
        "shutdown.drain": "ProcessTests: a client that doesn't close is cut within the drain",
        "auth.mode": "ProcessTests: what can't be served exits 78",
        "conformance.echo": "echo returns messages unread",
    ]

    /// Keys of features that aren't built: they are read and validated, which the configuration's own tests show.
    static let notBuiltYet: Set<String> = [
        "connections.per_user", "connections.when_full",
        // Deadlines act by themselves; the sweep has nothing left to free that could be seen from outside.
        "sessions.sweep",
    ]

    @Test func `the effect of every key is seen somewhere`() async throws {
        let printed = try await GatewayProcess.run(["config", "print"], folder: try TemporaryFolder())
        let keys = Set(printed.lines.compactMap { $0.split(separator: " ").first.map(String.init) })
        #expect(keys.count > 60)
        #expect(keys == Set(Self.seenIn.keys).union(Self.notBuiltYet))
    }

    @Test(arguments: [1, 3])
    func `the number of event loops`(loops: Int) async throws {
        let gateway = try await SharedGateways.roomy(["listen.loops": "\(loops)"])
        #expect(try await gateway.line("starting")["loops"].integer == loops)
    }

    @Test func `limits of messages are configured`() async throws {
        let gateway = try await SharedGateways.roomy([
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

    /// Has so many texts of 1000 bytes answered, and returns the parts of memory that `status` shows.
    private func memory(after count: Int, _ flags: [String: String]) async throws -> JSON {
        let client = try await SharedGateways.roomy(flags).client()
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

    @Test func `acknowledged messages leave the outbox`() async throws {
        let client = try await SharedGateways.roomy().client()
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

    @Test func `only so many ids are remembered`() async throws {
        let client = try await SharedGateways.roomy(["sessions.duplicate_ids": "2"]).client()
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

    @Test func `when all sessions hold too much new ones are refused`() async throws {
        let gateway = try await GatewayProcess(
            SharedGateways.roomy.merging(["sessions.total_memory_budget": "100KB", "sessions.sweep": "100ms"]) { $1 })
        let client = try await gateway.client()
        // Held in the outbox until it is acknowledged.
        try await client.send(["type": "text", "id": "m", "text": .string(String(repeating: "t", count: 95_000))])
        _ = try await client.message("ack")
        let reply = try await client.message("text")
        var refused: HTTPResponseText?
        for _ in 0..<100 where refused == nil {
            let answer = try await gateway.response(to: .upgrade())
            if answer.status != 101 { refused = answer } else { try await Task.sleep(for: .milliseconds(50)) }
        }
        let answer = try #require(refused)
        #expect(answer.status == 503)
        #expect(try answer.json()["code"] == "overloaded")
        #expect(answer["retry-after"] != nil)
        try await gateway.webSocket(.upgrade("/v1/ws?errors=inband")).fails("overloaded", 1013)
        try await client.isServed()
        try await client.send(["type": "ack", "seq": reply["seq"]])
        try await client.send(["type": "bye"])
        try await client.closed(1000)
        try await gateway.eventuallyServes()
        try await gateway.stop()
    }

    @Test func `echo returns messages unread`() async throws {
        let gateway = try await SharedGateways.roomy(["conformance.echo": "true"])
        let client = try await gateway.webSocket(.upgrade("/echo"))
        try await client.send("{ not JSON")
        #expect(try await client.next() == .text("{ not JSON"))
        let big = [UInt8](repeating: 7, count: 3_000_000)
        try await client.send(binary: big)
        #expect(try await client.binary() == big)
        try await client.send(TestFrame(3))
        try await client.closed(1002)
        try await gateway.client().isServed()
    }

    @Test(arguments: ["12h", "1s"])
    func `a ticket is good until its key has rotated twice`(rotation: String) async throws {
        let gateway = try await SharedGateways.roomy(["tls.ticket_rotation": rotation])
        let folder = try TemporaryFolder()
        func connect(_ arguments: [String]) async throws -> [String] {
            try await ChildProcess.run(
                "/usr/bin/openssl", ["s_client", "-connect", "127.0.0.1:\(gateway.port)", "-tls1_2"] + arguments, folder: folder.path
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
        Issue.record("still resumed")
    }
}

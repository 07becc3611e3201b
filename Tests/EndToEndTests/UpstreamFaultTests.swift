import Foundation
import Support
import Testing

/// What upstreams do wrong, and what their clients are told of it. Everyone else is left in peace.
@Suite(.bounded) struct UpstreamFaultTests {
    /// What a request comes to: `ok`, or the code of its error, with `!` where it may be tried again.
    private static func outcome(_ answer: Answer) -> String {
        guard let code = answer.error["code"].string else { return "ok" }
        return code + (answer.error["retryable"] == true ? "!" : "")
    }

    struct Case: CustomTestStringConvertible {
        let fault: String
        /// By kind; the others come to `all`.
        let all: String
        var but: [String: String] = [:]

        var testDescription: String { fault }
        func expected(_ kind: String) -> String { but[kind] ?? all }
    }

    static let cases = [
        Case(fault: "hang", all: "upstream_timeout!"),
        Case(fault: "stall", all: "upstream_timeout!"),
        Case(fault: "die", all: "upstream_error!"),
        Case(fault: "close", all: "upstream_error!"),
        Case(fault: "rubbish", all: "upstream_error!"),
        Case(fault: "rubbish-json", all: "upstream_error!"),
        Case(fault: "rubbish-field", all: "upstream_error!"),
        Case(fault: "garbage-status", all: "upstream_error!", but: ["websocket": "ok", "process": "ok"]),
        Case(fault: "huge 20000000", all: "upstream_error"),
        Case(fault: "twice", all: "ok"),
        Case(fault: "other", all: "upstream_error!", but: ["websocket": "upstream_timeout!", "http": "ok", "openai": "ok"]),
        Case(fault: "error 500", all: "upstream_error!"),
        Case(fault: "error 503", all: "upstream_unavailable!", but: ["websocket": "upstream_error!", "process": "upstream_error!"]),
        Case(fault: "error 404", all: "upstream_error", but: ["websocket": "upstream_error!", "process": "upstream_error!"]),
        Case(fault: "redirect", all: "upstream_error", but: ["websocket": "ok", "process": "ok"]),
    ]

    @Test(arguments: UpstreamGateway.kinds, cases)
    func `each fault has its error, and the next message works`(kind: String, fault: Case) async throws {
        let gateway = try await UpstreamGateway.shared()
        let client = try await gateway.client()
        let answer = try await client.ask("\(fault.fault) one two three", of: kind, id: "m1")
        #expect(Self.outcome(answer) == fault.expected(kind), "\(answer.last)")
        if fault.fault.hasPrefix("error 5"), answer.error["code"] == "upstream_unavailable" {
            #expect(answer.error["retry_after_ms"] == 2000)
        }
        #expect(answer.last["done"] == true)
        // Who goes on speaking, where answers have no numbers, is found out by the next request at the latest: that one may be lost.
        let spoils =
            kind == "process" && fault.fault == "twice" || (kind == "http" || kind == "openai") && ["twice", "other"].contains(fault.fault)
        if spoils { _ = try await client.ask("spoilt, perhaps", of: kind, id: "m1b") }
        let tries = spoils ? 3 : 1
        var next = ""
        for number in 0..<tries where next != "AND ON" { next = try await client.ask("and on", of: kind, id: "m2\(number)").text }
        #expect(next == "AND ON")
    }

    @Test(arguments: ["websocket", "http", "openai"])
    func `an answer without end is cut at its size`(kind: String) async throws {
        let double = try await UpstreamDouble(kind)
        let gateway = try await GatewayProcess([
            "upstreams.a.kind": kind, "upstreams.a.urls": "\(kind == "websocket" ? "ws" : "http")://127.0.0.1:\(double.port)/v1",
            "upstreams.a.max_answer_bytes": "20KB", "routes.a.upstreams": "a",
        ])
        let client = try await gateway.client()
        #expect(Self.outcome(try await client.ask("endless", of: "", id: "m1")) == "upstream_error")
        let next = try await client.ask("and on", of: "", id: "m2")
        #expect(next.text == "AND ON", "\(next)")
        try await gateway.stop()
    }

    @Test func `an answer at one byte a time is cut at the total`() async throws {
        let ports = (try await UpstreamDouble.shared("http").port, try await UpstreamDouble.shared("websocket").port)
        let gateway = try await SharedGateways.roomy([
            "upstreams.a.kind": "http", "upstreams.a.urls": "http://127.0.0.1:\(ports.0)/", "upstreams.a.total_timeout": "1s",
            "routes.a.meta": "to=a", "routes.a.upstreams": "a", "upstreams.b.kind": "websocket",
            "upstreams.b.urls": "ws://127.0.0.1:\(ports.1)", "upstreams.b.total_timeout": "1s", "routes.b.meta": "to=b",
            "routes.b.upstreams": "b",
        ])
        let client = try await gateway.client()
        #expect(Self.outcome(try await client.ask("trickle 100 long enough to take a while", of: "a", id: "m1")) == "upstream_timeout!")
        #expect(Self.outcome(try await client.ask("trickle 100 long enough to take a while", of: "b", id: "m2")) == "upstream_timeout!")
        #expect(try await client.ask("and on", of: "a", id: "m3").text == "AND ON")
    }

    @Test(arguments: ["websocket", "vosk", "http", "openai", "process"])
    func `nobody there, and the breaker says for how long it needn't be tried`(kind: String) async throws {
        let address = kind == "http" || kind == "openai" ? "http://127.0.0.1:1/" : "ws://127.0.0.1:1/"
        var flags = [
            "upstreams.a.kind": kind, "upstreams.a.retries": "0", "upstreams.a.breaker_failures": "2", "upstreams.a.breaker_open": "30s",
            "routes.a.upstreams": "a",
            // Its state is asked for as fast as can be.
            "limits.control_per_minute": "0",
        ]
        flags[kind == "process" ? "upstreams.a.command" : "upstreams.a.urls"] = kind == "process" ? "/nonexistent" : address
        let gateway = try await GatewayProcess(flags)
        let client = try await gateway.client()
        var correlation: [String?] = []
        for (number, expected) in ["upstream_unavailable!", "upstream_unavailable!", "upstream_unavailable!"].enumerated() {
            let answer =
                kind == "vosk" ? try await client.say([2], to: "", id: "m\(number)") : try await client.ask("x", of: "", id: "m\(number)")
            #expect(Self.outcome(answer) == expected, "\(answer.last)")
            correlation.append(answer.error["correlation_id"].string)
            let wait = answer.error["retry_after_ms"].integer
            #expect(number == 0 ? wait == nil : (1...30_000).contains(wait ?? 0))
        }
        #expect(try await gateway.line("circuit breaker open")["upstream"] == "a")
        let line = try await gateway.line("upstream failed")
        #expect(line["upstream"] == "a" && line["reply_to"] == "m0" && line["details"].string?.isEmpty == false)
        #expect(line["endpoint"].string == (kind == "process" ? "a" : "127.0.0.1:1"))
        #expect(line["path"].string == ["openai": "/chat/completions", "process": "/nonexistent"][kind] ?? "/")
        #expect(line["correlation_id"].string != nil && line["correlation_id"].string == correlation[0])
        // Told to clients as a state, and to operators by name.
        var state: JSON = .null
        while state != "unavailable" {
            // As of the last tick.
            try await client.send(["type": "status", "id": "s"])
            state = try await client.message("status")["upstream"]["state"]
        }
        let health = try await gateway.operationsResponse(to: HTTPRequestText("/health"))
        #expect(health.status == 200)
        #expect(health.body.contains(#""upstreams":[{"name":"a","state":"unavailable"}]"#))
        let figures = try JSON(
            try await gateway.operationsResponse(to: HTTPRequestText("/v1/gateway")).body)
        let upstream = figures["upstreams"][0]
        #expect(upstream["failed"] == 3 && upstream["active"] == 0 && upstream["waiting"] == 0)
        #expect(upstream["endpoints"][0]["breaker"] == "open" && upstream["endpoints"][0]["outstanding"] == 0)
        // Somebody has repaired it, and says so: by a reset, and by a reload.
        for path in ["/v1/upstreams/a/reset", "/v1/gateway/reload"] {
            let answer = try await gateway.operationsResponse(to: HTTPRequestText(path, method: "POST"))
            #expect(answer.status == 200)
            if path.hasSuffix("reset") {
                let entry = try answer.json()
                #expect(entry["name"] == "a" && entry["state"] == "ready" && entry["endpoints"][0]["breaker"] == "closed")
            }
            for number in 0..<2 {
                let id = "\(path.utf8.count)-\(number)"
                let answer = kind == "vosk" ? try await client.say([2], to: "", id: id) : try await client.ask("x", of: "", id: id)
                // It is asked again, and fails again.
                #expect((answer.error["retry_after_ms"].integer == nil) == (number == 0), "\(answer.last)")
            }
        }
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/v1/upstreams/b/reset", method: "POST")).status == 404)
        try await gateway.stop()
    }

    @Test func `a certificate that nobody vouches for isn't trusted, and one that somebody does is`() async throws {
        let pair = try await TestCertificatePair.shared.value
        for (kind, scheme) in [("websocket", "wss"), ("http", "https")] {
            let double = try await UpstreamDouble(kind, certificate: (pair.certificate, pair.key))
            for trusted in [false, true] {
                var flags = [
                    "upstreams.a.kind": kind, "upstreams.a.urls": "\(scheme)://localhost:\(double.port)/", "upstreams.a.retries": "0",
                    "routes.a.upstreams": "a",
                ]
                if trusted { flags["upstreams.a.ca"] = pair.certificate }
                let gateway = try await GatewayProcess(flags)
                let answer = try await gateway.client().ask("hello", of: "", id: "m1")
                #expect(Self.outcome(answer) == (trusted ? "ok" : "upstream_unavailable!"), "\(kind) \(answer.last)")
                try await gateway.stop()
            }
        }
    }

    @Test func `a request goes to the endpoint that works`() async throws {
        let port = try await UpstreamDouble.shared("http").port
        let gateway = try await GatewayProcess([
            "upstreams.a.kind": "http", "upstreams.a.urls": "http://127.0.0.1:1/,http://127.0.0.1:\(port)/", "routes.a.upstreams": "a",
            "upstreams.a.retry_budget": "1",
        ])
        let client = try await gateway.client()
        for number in 0..<8 { #expect(try await client.ask("hello", of: "", id: "m\(number)").text == "HELLO") }
        try await gateway.stop()
    }

    @Test func `a client that doesn't read holds back its own answer only`() async throws {
        let double = try await UpstreamDouble("websocket")
        let gateway = try await GatewayProcess(
            SharedGateways.roomy.merging([
                "upstreams.a.kind": "websocket", "upstreams.a.urls": "ws://127.0.0.1:\(double.port)", "routes.a.upstreams": "a",
                "listen.loops": "1", "delivery.send_timeout": "1m",
            ]) { $1 })
        let slow = try await gateway.client(receiveBuffer: 4096)
        try await slow.socket.pauseReading()
        slow.socket.push(TestFrame(TestFrame.text, text: #"{"type":"text","id":"slow","text":"endless"}"#).bytes)
        try await double.event { $0["event"] == "paused" }
        let other = try await gateway.client()
        for number in 0..<20 {
            let answer = try await other.ask("hello", of: "", id: "m\(number)")
            #expect(answer.text == "HELLO", "\(answer.last)")
        }
        await slow.socket.reset()
        try await gateway.stop()
    }

    // MARK: Processes

    private static func children(of gateway: GatewayProcess) -> [Int32] {
        var found: [Int32] = []
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = Int32(entry), let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                let close = stat.lastIndex(of: ")")
            else { continue }
            let fields = stat[stat.index(close, offsetBy: 2)...].split(separator: " ")
            if fields.count > 1, Int32(fields[1]) == gateway.process.identifier { found.append(pid) }
        }
        return found
    }

    private func until(_ isSo: @Sendable () -> Bool) async throws {
        for _ in 0..<1000 {
            if isSo() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw TestFailure("it didn't happen")
    }

    private func processGateway(_ more: [String: String] = [:]) async throws -> GatewayProcess {
        try await GatewayProcess(
            [
                "upstreams.a.kind": "process", "routes.a.upstreams": "a", "upstreams.a.breaker_failures": "1000",
                "upstreams.a.breaker_rate": "0",
                "upstreams.a.command": "\(try Python.path()),-B,\(Python.repository)/Tests/Upstreams/faulty_process.py",
            ].merging(more) { $1 })
    }

    @Test func `a process is started when it is needed, used again, and replaced after a while`() async throws {
        let gateway = try await processGateway(["upstreams.a.max_requests": "3", "upstreams.a.idle_close": "1s"])
        #expect(Self.children(of: gateway).isEmpty)
        let client = try await gateway.client()
        var seen: Set<Int32> = []
        for number in 0..<7 {
            #expect(try await client.ask("hello", of: "", id: "m\(number)").text == "HELLO")
            seen.formUnion(Self.children(of: gateway))
        }
        #expect((3...4).contains(seen.count))
        try await until { Self.children(of: gateway).isEmpty }
        try await gateway.stop()
    }

    @Test func `a cancelled request's process is gone, with what it has started, and leaves no zombie`() async throws {
        let gateway = try await processGateway()
        let client = try await gateway.client()
        for number in 0..<5 {
            try await client.send(["type": "text", "id": .string("m\(number)"), "text": .string(number % 2 == 0 ? "fork" : "hang")])
            _ = try await client.message("ack")
            try await until { !Self.children(of: gateway).isEmpty }
            try await client.send(["type": "cancel", "id": .string("m\(number)")])
            _ = try await client.message("status")
            try await until { Self.children(of: gateway).isEmpty }
        }
        #expect(try await client.ask("and on", of: "", id: "next").text == "AND ON")
        try await gateway.stop()
    }

    @Test func `processes die with the gateway, also when it is killed`() async throws {
        let gateway = try await processGateway()
        let client = try await gateway.client()
        try await client.send(["type": "text", "id": "m1", "text": "hang"])
        _ = try await client.message("ack")
        try await until { !Self.children(of: gateway).isEmpty }
        let children = Self.children(of: gateway)
        try await gateway.stop()
        try await until { children.allSatisfy { kill($0, 0) != 0 } }
    }

    @Test func `a process that wants more memory than it may have fails alone`() async throws {
        let gateway = try await processGateway(["upstreams.a.memory_limit": "300MB", "upstreams.a.first_byte_timeout": "10s"])
        let client = try await gateway.client()
        let answer = try await client.ask("memory", of: "", id: "m1")
        #expect(["upstream_error!"].contains(Self.outcome(answer)), "\(answer.last)")
        #expect(try await client.ask("and on", of: "", id: "m2").text == "AND ON")
        try await gateway.stop()
    }
}

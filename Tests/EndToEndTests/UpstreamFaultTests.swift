// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Faults of upstreams, and the errors that clients get. Other clients aren't affected.
@Suite(.bounded) struct UpstreamFaultTests {
    /// The outcome of a request: `ok`, or the error code, followed by `!` if it is retryable.
    private static func outcome(_ response: CollectedResponse) -> String {
        guard let code = response.error["code"].string else { return "ok" }
        return code + (response.error["retryable"] == true ? "!" : "")
    }

    struct Case: CustomTestStringConvertible {
        let fault: String
        /// The expected outcome, and exceptions by kind of upstream.
        let all: String
        var except: [String: String] = [:]

        var testDescription: String { fault }
        func expected(_ kind: String) -> String { except[kind] ?? all }
    }

    static let cases = [
        Case(fault: "hang", all: "upstream_timeout!"),
        Case(fault: "stall", all: "upstream_timeout!"),
        Case(fault: "die", all: "upstream_error!"),
        Case(fault: "close", all: "upstream_error!"),
        Case(fault: "rubbish", all: "upstream_error!"),
        Case(fault: "rubbish-json", all: "upstream_error!"),
        Case(fault: "rubbish-field", all: "upstream_error!"),
        Case(fault: "garbage-status", all: "upstream_error!", except: ["websocket": "ok", "process": "ok"]),
        Case(fault: "huge 20000000", all: "upstream_error"),
        Case(fault: "twice", all: "ok"),
        Case(fault: "other", all: "upstream_error!", except: ["websocket": "upstream_timeout!", "http": "ok", "openai": "ok"]),
        Case(fault: "error 500", all: "upstream_error!"),
        Case(fault: "error 503", all: "upstream_unavailable!", except: ["websocket": "upstream_error!", "process": "upstream_error!"]),
        Case(fault: "error 404", all: "upstream_error", except: ["websocket": "upstream_error!", "process": "upstream_error!"]),
        Case(fault: "redirect", all: "upstream_error", except: ["websocket": "ok", "process": "ok"]),
    ]

    @Test(arguments: UpstreamGateway.kinds, cases)
    func `each fault has its error, and the next request is served`(kind: String, fault: Case) async throws {
        let gateway = try await UpstreamGateway.shared()
        let client = try await gateway.client()
        let response = try await client.ask("\(fault.fault) one two three", of: kind, id: "m1")
        #expect(Self.outcome(response) == fault.expected(kind), "\(response.last)")
        if fault.fault.hasPrefix("error 5"), response.error["code"] == "upstream_unavailable" {
            #expect(response.error["retry_after_ms"] == 2000)
        }
        #expect(response.last["done"] == true)
        // Without request ids on the wire, surplus output may be detected only by the next request, which may then fail.
        let affectsNext =
            kind == "process" && fault.fault == "twice" || (kind == "http" || kind == "openai") && ["twice", "other"].contains(fault.fault)
        if affectsNext { _ = try await client.ask("may fail", of: kind, id: "m1b") }
        let attempts = affectsNext ? 3 : 1
        var next = ""
        for number in 0..<attempts where next != "AND ON" { next = try await client.ask("and on", of: kind, id: "m2\(number)").text }
        #expect(next == "AND ON")
    }

    @Test(arguments: ["websocket", "http", "openai"])
    func `an endless response fails at its size limit`(kind: String) async throws {
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

    @Test func `a response that trickles in fails at the total timeout`() async throws {
        let ports = (try await UpstreamDouble.shared("http").port, try await UpstreamDouble.shared("websocket").port)
        let gateway = try await SharedGateways.withoutLimits([
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
    func `an unreachable upstream opens the breaker, and errors have its remaining time in retry_after_ms`(kind: String) async throws {
        let address = kind == "http" || kind == "openai" ? "http://127.0.0.1:1/" : "ws://127.0.0.1:1/"
        var flags = [
            "upstreams.a.kind": kind, "upstreams.a.retries": "0", "upstreams.a.breaker_failures": "2", "upstreams.a.breaker_open": "30s",
            "routes.a.upstreams": "a",
            // The test polls the state without a delay.
            "limits.control_per_minute": "0",
        ]
        flags[kind == "process" ? "upstreams.a.command" : "upstreams.a.urls"] = kind == "process" ? "/nonexistent" : address
        let gateway = try await GatewayProcess(flags)
        let client = try await gateway.client()
        var correlation: [String?] = []
        for (number, expected) in ["upstream_unavailable!", "upstream_unavailable!", "upstream_unavailable!"].enumerated() {
            let response =
                kind == "vosk" ? try await client.say([2], to: "", id: "m\(number)") : try await client.ask("x", of: "", id: "m\(number)")
            #expect(Self.outcome(response) == expected, "\(response.last)")
            correlation.append(response.error["correlation_id"].string)
            let wait = response.error["retry_after_ms"].integer
            #expect(number == 0 ? wait == nil : (1...30_000).contains(wait ?? 0))
        }
        #expect(try await gateway.line("circuit breaker open")["upstream"] == "a")
        let line = try await gateway.line("upstream failed")
        #expect(line["upstream"] == "a" && line["reply_to"] == "m0" && line["details"].string?.isEmpty == false)
        #expect(line["endpoint"].string == (kind == "process" ? "a" : "127.0.0.1:1"))
        #expect(line["path"].string == ["openai": "/chat/completions", "process": "/nonexistent"][kind] ?? "/")
        #expect(line["correlation_id"].string != nil && line["correlation_id"].string == correlation[0])
        // Clients get the overall state, operators the state of each upstream.
        var state: JSON = .null
        while state != "unavailable" {
            // The state is updated once per tick.
            try await client.send(["type": "status", "id": "s"])
            state = try await client.message("status")["upstream"]["state"]
        }
        let health = try await gateway.operationsResponse(to: HTTPRequestText("/health"))
        #expect(health.status == 200)
        #expect(health.body.contains(#""upstreams":[{"name":"a","state":"unavailable"}]"#))
        let counters = try JSON(
            try await gateway.operationsResponse(to: HTTPRequestText("/v1/gateway")).body)
        let upstream = counters["upstreams"][0]
        #expect(upstream["failed"] == 3 && upstream["active"] == 0 && upstream["waiting"] == 0)
        #expect(upstream["endpoints"][0]["breaker"] == "open" && upstream["endpoints"][0]["outstanding"] == 0)
        // A reset and a reload each close the breaker.
        for path in ["/v1/upstreams/a/reset", "/v1/gateway/reload"] {
            let response = try await gateway.operationsResponse(to: HTTPRequestText(path, method: "POST"))
            #expect(response.status == 200)
            if path.hasSuffix("reset") {
                let entry = try response.json()
                #expect(entry["name"] == "a" && entry["state"] == "ready" && entry["endpoints"][0]["breaker"] == "closed")
            }
            for number in 0..<2 {
                let id = "\(path.utf8.count)-\(number)"
                let response = kind == "vosk" ? try await client.say([2], to: "", id: id) : try await client.ask("x", of: "", id: id)
                // The upstream is called again, and fails again.
                #expect((response.error["retry_after_ms"].integer == nil) == (number == 0), "\(response.last)")
            }
        }
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/v1/upstreams/b/reset", method: "POST")).status == 404)
        try await gateway.stop()
    }

    @Test func `an upstream certificate is rejected without its CA, and accepted with it`() async throws {
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
                let response = try await gateway.client().ask("hello", of: "", id: "m1")
                #expect(Self.outcome(response) == (trusted ? "ok" : "upstream_unavailable!"), "\(kind) \(response.last)")
                try await gateway.stop()
            }
        }
    }

    @Test func `requests are routed to the reachable endpoint`() async throws {
        let port = try await UpstreamDouble.shared("http").port
        let gateway = try await GatewayProcess([
            "upstreams.a.kind": "http", "upstreams.a.urls": "http://127.0.0.1:1/,http://127.0.0.1:\(port)/", "routes.a.upstreams": "a",
            "upstreams.a.retry_budget": "1",
        ])
        let client = try await gateway.client()
        for number in 0..<8 { #expect(try await client.ask("hello", of: "", id: "m\(number)").text == "HELLO") }
        try await gateway.stop()
    }

    @Test func `a client that doesn't read delays only its own response`() async throws {
        let double = try await UpstreamDouble("websocket")
        let gateway = try await GatewayProcess(
            SharedGateways.withoutLimits.merging([
                "upstreams.a.kind": "websocket", "upstreams.a.urls": "ws://127.0.0.1:\(double.port)", "routes.a.upstreams": "a",
                "listen.loops": "1", "delivery.send_timeout": "5m", "upstreams.a.first_byte_timeout": "5m",
                "upstreams.a.between_bytes_timeout": "5m", "upstreams.a.total_timeout": "5m",
            ]) { $1 })
        let slow = try await gateway.client(receiveBuffer: 4096)
        try await slow.socket.pauseReading()
        slow.socket.push(TestFrame(TestFrame.text, text: #"{"type":"text","id":"slow","text":"endless"}"#).bytes)
        try await double.event { $0["event"] == "paused" }
        let other = try await gateway.client()
        for number in 0..<20 {
            let response = try await other.ask("hello", of: "", id: "m\(number)")
            #expect(response.text == "HELLO", "\(response.last)")
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

    private func until(_ condition: @Sendable () -> Bool) async throws {
        for _ in 0..<1000 {
            if condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw TestFailure("the condition wasn't met in time")
    }

    private func processGateway(_ more: [String: String] = [:]) async throws -> GatewayProcess {
        try await GatewayProcess(
            [
                "upstreams.a.kind": "process", "routes.a.upstreams": "a", "upstreams.a.breaker_failures": "1000",
                "upstreams.a.breaker_rate": "0",
                "upstreams.a.command": "\(try Python.path()),-B,\(Repository.path)/Tests/Upstreams/faulty_process.py",
            ].merging(more) { $1 })
    }

    @Test func `a process is started on demand, reused, replaced at max_requests, and stopped when idle`() async throws {
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

    @Test func `a cancelled request's process and its children are killed and reaped`() async throws {
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

    @Test func `processes are killed when the gateway stops`() async throws {
        let gateway = try await processGateway()
        let client = try await gateway.client()
        try await client.send(["type": "text", "id": "m1", "text": "hang"])
        _ = try await client.message("ack")
        try await until { !Self.children(of: gateway).isEmpty }
        let children = Self.children(of: gateway)
        try await gateway.stop()
        try await until { children.allSatisfy { kill($0, 0) != 0 } }
    }

    @Test func `a process over its memory limit fails only its own request`() async throws {
        let gateway = try await processGateway(["upstreams.a.memory_limit": "300MB", "upstreams.a.first_byte_timeout": "10s"])
        let client = try await gateway.client()
        let response = try await client.ask("memory", of: "", id: "m1")
        #expect(["upstream_error!"].contains(Self.outcome(response)), "\(response.last)")
        #expect(try await client.ask("and on", of: "", id: "m2").text == "AND ON")
        try await gateway.stop()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Upstreams of every kind behind the real executable. The doubles respond in upper case.
@Suite(.bounded) struct UpstreamTests {
    @Test(arguments: UpstreamGateway.kinds, [true, false])
    func `each kind responds to a text, in deltas or whole, with timing`(kind: String, stream: Bool) async throws {
        let client = try await UpstreamGateway.shared().client()
        let response = try await client.ask("hello there Grüße 世界", of: kind, id: "m1", stream: stream)
        #expect(response.text == "HELLO THERE GRÜSSE 世界")
        #expect((response.messages.count > 2) == stream)
        #expect(response.messages.filter { $0["final"] == true }.count == 1)
        #expect(response.last["done"] == true && response.last["final"] == true)
        let timing = try #require(response.last["timing"].object)
        #expect(Set(timing.keys) == ["queue_ms", "connect_ms", "first_ms", "total_ms"])
        #expect((timing["total_ms"]?.number ?? 0) >= (timing["first_ms"]?.number ?? 1))
        if kind == "openai" { #expect(response.last["usage"]["output_tokens"].integer == 4) }
    }

    @Test(arguments: ["websocket", "http", "process", "stt", "vosk"])
    func `audio reaches each kind, streamed or as a recording`(kind: String) async throws {
        let client = try await UpstreamGateway.shared().client()
        let response = try await client.say([640, 320, 40_000], to: kind, id: "u1")
        let transcripts = response.messages.filter { $0["type"] == "transcript" && $0["final"] == true }
        // An uploaded recording includes the WAV header.
        #expect(transcripts.last?["text"] == (kind == "stt" ? "41004 bytes" : "40960 bytes"))
        #expect(response.last["done"] == true)
        if kind == "vosk" {
            #expect(response.messages.contains { $0["final"] == false })
            #expect(response.last["confidence"].number != nil && response.last["end_ms"].integer != nil)
        }
        // The next request is served.
        #expect(try await client.ask("again", of: "websocket", id: "m2").text == "AGAIN")
    }

    @Test(
        arguments: [("stt", "64000 bytes"), ("websocket", "64000 bytes"), ("http", "64000 bytes"), ("vosk", nil)] as [(String, String?)])
    func `a recording in an MP4 container reaches each kind that accepts containers`(kind: String, text: String?) async throws {
        let client = try await UpstreamGateway.shared().client()
        try await client.send([
            "type": "audio", "id": "u1", "format": ["codec": "mp4_aac", "rate": 44_100.0, "channels": 1], "meta": ["to": .string(kind)],
        ])
        for _ in 0..<4 { try await client.send(binary: [UInt8](repeating: 0x21, count: 16_000)) }
        try await client.send(binary: [])
        try await client.send(["type": "audio", "id": "u1", "final": true])
        let response = try await client.collectResponse(to: "u1")
        if let text {
            #expect(response.messages.last { $0["type"] == "transcript" }?["text"] == .string(text), "\(response.last)")
        } else {
            #expect(response.error["code"] == "invalid_audio" && response.last["reply_to"] == "u1" && response.last["done"] == true)
        }
    }

    @Test func `audio that an upstream returns is delivered`() async throws {
        let client = try await UpstreamGateway.shared().client()
        for kind in ["websocket", "process"] {
            let response = try await client.say([3200], to: kind, id: "u-\(kind)", meta: ["echo": "audio"])
            #expect(response.audioBytes == 3200)
            #expect(response.messages.first { $0["type"] == "audio" }?["format"]["rate"] == 16_000)
            #expect(response.last["done"] == true)
        }
    }

    @Test func `a chain transcribes, responds and synthesizes`() async throws {
        let client = try await UpstreamGateway.shared().client()
        let response = try await client.say([32_000], to: "chain", id: "u1", output: ["modalities": ["text", "audio"]])
        let kinds = response.messages.compactMap { $0["type"].string }
        #expect(kinds.first == "transcript")
        #expect(response.messages[0]["final"] == true && response.messages[0]["done"].isNull)
        #expect(response.text == "32044 BYTES")
        let opening = try #require(response.messages.first { $0["type"] == "audio" })
        #expect(opening["format"] == ["codec": "pcm16", "rate": 22_050, "channels": 1])
        // The double returns 0.2 s of audio per word.
        #expect(response.audioBytes == 2 * 4410 * 2)
        #expect(response.last["type"] == "audio" && response.last["final"] == true && response.last["done"] == true)
        #expect(response.messages.filter { $0["done"] == true }.count == 1)
        // A text skips the transcribe stage, and without the audio modality the synthesize stage.
        let quiet = try await client.ask("only words", of: "chain", id: "m2")
        #expect(quiet.text == "ONLY WORDS" && quiet.audioBytes == 0)
        let loud = try await client.ask("One sentence is this here. And another one", of: "voice", id: "m3")
        #expect(loud.audioBytes == 8 * 4410 * 2)
    }

    @Test(arguments: ["json", "text", "verbose_json"])
    func `a transcript of any format is trimmed, and an empty transcript skips the respond stage`(form: String) async throws {
        let client = try await UpstreamGateway.shared().client()
        let spoken = try await client.say(
            [3200], to: "chain", id: "u1", meta: ["prompt": .string("hear \(form) \u{3000}hello there\u{A0}")])
        #expect(spoken.messages.first?["text"] == "hello there")
        #expect(spoken.text == "HELLO THERE" && !spoken.last["usage"].isNull)
        let silence = try await client.say([3200], to: "chain", id: "u2", meta: ["prompt": .string("hear \(form) \u{3000}\u{A0}\u{2003}")])
        #expect(silence.text == "" && silence.audioBytes == 0 && silence.last["done"] == true && silence.last["usage"].isNull)
        #expect(silence.messages.first?["type"] == "transcript" && silence.messages.first?["text"] == "")
    }

    @Test func `a recording over the route's collect_max_bytes is audio_too_large`() async throws {
        let client = try await UpstreamGateway.shared().client()
        #expect(try await client.say([32_000, 32_000], to: "chain", id: "u1").text == "64044 BYTES")
        let over = try await client.say([32_000, 32_002], to: "chain", id: "u2")
        #expect(over.error["code"] == "audio_too_large")
        #expect(over.error["retryable"] == false)
        #expect(over.last["done"] == true)
        #expect(try await client.say([2], to: "chain", id: "u3").text == "46 BYTES")
    }

    @Test func `a message without a matching route is not_found`() async throws {
        let client = try await UpstreamGateway.shared().client()
        let response = try await client.ask("hello", of: "nowhere", id: "m1")
        #expect(response.error["code"] == "not_found")
        #expect(response.error["retryable"] == false)
        #expect(response.last["done"] == true)
        // A chat model doesn't accept audio, either.
        #expect(try await client.say([2], to: "openai", id: "u1").error["code"] == "not_found")
        #expect(try await client.ask("hello", of: "http", id: "m2").text == "HELLO")
    }

    @Test(arguments: ["websocket", "http", "process"])
    func `status messages of an upstream reach the client`(kind: String) async throws {
        let client = try await UpstreamGateway.shared().client()
        let response = try await client.ask("status please", of: kind, id: "m1")
        #expect(response.messages[0]["type"] == "status")
        #expect(response.messages[0]["state"].string?.isEmpty == false)
        #expect(response.text == "STATUS PLEASE")
    }

    @Test(arguments: ["sse-crlf a", "sse-split a", "sse-comments a"], ["http", "openai"])
    func `server-sent events are parsed in every valid form`(text: String, kind: String) async throws {
        let client = try await UpstreamGateway.shared().client()
        #expect(try await client.ask(text, of: kind, id: "m1").text.hasSuffix("Grüße 世界"))
    }

    @Test func `deltas are coalesced for the duration of delivery coalesce`() async throws {
        let gateway = try await UpstreamGateway.shared(["delivery.coalesce": "100ms"])
        let client = try await gateway.client()
        let response = try await client.ask("stream 500", of: "websocket", id: "m1")
        #expect(response.text == (0..<500).map { "w\($0) " }.joined() || response.text.hasPrefix("w0 w1 "))
        #expect(response.messages.count < 50)
        #expect(response.last["done"] == true)
    }

    @Test(arguments: ["websocket", "http", "openai"])
    func `a connection is reused`(kind: String) async throws {
        let double = try await UpstreamDouble(kind)
        let gateway = try await GatewayProcess([
            "upstreams.a.kind": kind, "upstreams.a.urls": "\(kind == "websocket" ? "ws" : "http")://127.0.0.1:\(double.port)/v1",
            "routes.a.upstreams": "a", "listen.loops": "1",
            // HTTP upstreams would otherwise open a second connection before the first one is idle again.
            "upstreams.a.max_connections": "1",
        ])
        let client = try await gateway.client()
        func count(_ event: JSON) throws -> Int { try double.events.count { $0["event"] == event } }
        for number in 0..<10 {
            #expect(try await client.ask("hello there", of: "", id: "m\(number)").text == "HELLO THERE")
            // The end of the body follows the last event, on a busy machine much later.
            while try count("completed") <= number { await Task.yield() }
        }
        #expect(try count("connected") == 1)
        try await gateway.stop()
    }

    @Test(arguments: ["websocket", "http", "openai"])
    func `a cancel reaches the upstream, and its permit is released`(kind: String) async throws {
        let double = try await UpstreamDouble(kind)
        let gateway = try await GatewayProcess([
            "upstreams.a.kind": kind, "upstreams.a.urls": "\(kind == "websocket" ? "ws" : "http")://127.0.0.1:\(double.port)/v1",
            "upstreams.a.max_connections": "1", "upstreams.a.max_waiting": "0", "routes.a.upstreams": "a",
        ])
        let client = try await gateway.client()
        try await client.send(["type": "text", "id": "m1", "text": "slow 900 x"])
        _ = try await client.message("ack")
        // A request that hasn't reached the upstream would be cancelled without a message to it.
        try await double.event { $0["event"] == "request" }
        try await client.send(["type": "cancel", "id": "m1", "reason": "enough"])
        let cancelled = try await client.message("status")
        #expect(cancelled["state"] == "cancelled" && cancelled["done"] == true)
        try await double.event { $0["event"] == "cancelled" }
        #expect(try await client.ask("next", of: "", id: "m2").text == "NEXT")
        try await gateway.stop()
    }

    @Test func `a disconnect doesn't cancel a request, and the response is delivered after the resume, on any event loop`() async throws {
        let gateway = try await UpstreamGateway.shared(["listen.loops": "2"])
        var client = try await gateway.webSocket()
        var session = try await client.message("session")
        for round in 0..<6 {
            let kind = ["websocket", "openai", "process"][round % 3]
            try await client.send(["type": "text", "id": .string("m\(round)"), "text": "slow 200 back", "meta": ["to": .string(kind)]])
            _ = try await client.message("ack")
            await client.socket.reset()
            let target = "/v1/ws?last_seq=\(session["last_seq"].integer ?? 0)"
            client = try await gateway.webSocket(.upgrade(target, adding: [("Parley-Resume", session["resume_token"].string ?? "")]))
            session = try await client.message("session")
            #expect(session["resumed"] == true && session["lost"] == false)
            let response = try await client.collectResponse(to: "m\(round)")
            #expect(response.text == "SLOW 200 BACK")
            let last = response.last["seq"].integer ?? 0
            try await client.send(["type": "ack", "seq": .number(Double(last))])
            session = .object(session.object!.merging(["last_seq": .number(Double(last))]) { $1 })
        }
    }

    @Test func `requests are cancelled when their session expires or ends, and at the drain deadline`() async throws {
        let double = try await UpstreamDouble("websocket")
        let gateway = try await GatewayProcess([
            "sessions.resume_window": "500ms", "upstreams.a.kind": "websocket", "upstreams.a.urls": "ws://127.0.0.1:\(double.port)",
            "routes.a.upstreams": "a",
        ])
        let detached = try await gateway.client()
        try await detached.send(["type": "text", "id": "detached", "text": "hang"])
        _ = try await detached.message("ack")
        try await double.event("request", id: "detached")
        await detached.socket.reset()
        try await double.event("cancelled", id: "detached")
        // After `bye` there is no resume window.
        let ended = try await gateway.client()
        try await ended.send(["type": "text", "id": "ended", "text": "hang"])
        _ = try await ended.message("ack")
        try await double.event("request", id: "ended")
        try await ended.send(["type": "bye"])
        try await double.event("cancelled", id: "ended")
        // At the drain deadline all requests are cancelled.
        let last = try await gateway.client()
        try await last.send(["type": "text", "id": "last", "text": "hang"])
        _ = try await last.message("ack")
        try await double.event("request", id: "last")
        gateway.signal(SIGTERM)
        try await double.event("cancelled", id: "last")
        #expect(try await gateway.exit() == 0)
    }

    @Test func `identical concurrent requests share one upstream call`() async throws {
        let double = try await UpstreamDouble("websocket")
        let gateway = try await GatewayProcess([
            "upstreams.a.kind": "websocket", "upstreams.a.urls": "ws://127.0.0.1:\(double.port)", "listen.loops": "2",
            "routes.own.upstreams": "a", "routes.all.upstreams": "a", "routes.all.dedupe": "shared", "routes.all.meta": "to=all",
        ])
        let clients = [try await gateway.client(), try await gateway.client(), try await gateway.client()]
        let text = "slow 400 who is there"
        for (number, client) in clients.enumerated() {
            for id in ["a", "b"] {
                try await client.send([
                    "type": "text", "id": .string("\(id)\(number)"), "text": .string(text), "meta": ["to": "all", "dedupe_key": "k"],
                ])
            }
        }
        for (number, client) in clients.enumerated() {
            var texts: [String: String] = [:]
            var done: Set<String> = []
            while done.count < 2 {
                let message = try await client.message()
                guard message["type"] == "text", let id = message["reply_to"].string else { continue }
                texts[id, default: ""] += message["text"].string ?? ""
                if message["done"] == true { done.insert(id) }
            }
            #expect(texts == ["a\(number)": text.uppercased(), "b\(number)": text.uppercased()])
        }
        #expect(try double.events.filter { $0["event"] == "request" }.count == 1)
        // Without `dedupe` on the route, each request gets its own response.
        for client in clients.prefix(2) {
            try await client.send(["type": "text", "id": "own", "text": .string(text), "meta": ["dedupe_key": "k"]])
        }
        for client in clients.prefix(2) { #expect(try await client.collectResponse(to: "own").text == text.uppercased()) }
        #expect(try double.events.filter { $0["event"] == "request" }.count == 3)
        try await gateway.stop()
    }

    @Test func `the model receives only the history of the request's session`() async throws {
        let directory = try TemporaryDirectory()
        let chat = try ChildProcess(
            try Python.path(), ["-B", Repository.path + "/deploy/examples/chat.py", "--port", "0"], directory: directory.path)
        let ready = await chat.output.wait(timeout: .seconds(20)) { output in try? output.lines.first.map { try JSON($0) } }
        let port = try #require(ready?["port"].integer)
        let gateway = try await GatewayProcess([
            "upstreams.chat.kind": "openai", "upstreams.chat.urls": "http://127.0.0.1:\(port)/v1", "routes.all.upstreams": "chat",
        ])
        let client = try await gateway.client()
        _ = try await client.ask("The password is swordfish", of: "chat", id: "m1")
        #expect(try await client.ask("what did I say", of: "chat", id: "m2").text.contains("swordfish"))
        let other = try await gateway.client()
        #expect(try await !other.ask("what did I say", of: "chat", id: "m1").text.contains("swordfish"))
        try await gateway.stop()
    }

    @Test func `a route can have its own path`() async throws {
        let port = try await UpstreamDouble.shared("websocket").port
        let gateway = try await GatewayProcess([
            "upstreams.a.kind": "websocket", "upstreams.a.urls": "ws://127.0.0.1:\(port)", "upstreams.b.kind": "loopback",
            "routes.kiosk.path": "/v1/ws/kiosk", "routes.kiosk.upstreams": "a", "routes.rest.upstreams": "b",
        ])
        let kiosk = try await gateway.client(.upgrade("/v1/ws/kiosk"))
        #expect(try await kiosk.ask("hello", of: "", id: "m1").text == "HELLO")
        let rest = try await gateway.client()
        #expect(try await rest.ask("hello", of: "", id: "m1").text == "hello")
        #expect(try await gateway.response(to: .upgrade("/v1/ws/other")).status == 404)
        try await gateway.stop()
    }

    @Test func `a reload changes the upstreams, and requests in flight continue`() async throws {
        let port = try await UpstreamDouble.shared("websocket").port
        let directory = try TemporaryDirectory()
        try directory.write("upstreams: {a: {kind: loopback}}\nroutes: {all: {upstreams: [a]}}\n", to: "config/gateway.yaml")
        let gateway = try await GatewayProcess(directory: directory)
        let client = try await gateway.client()
        #expect(try await client.ask("hello", of: "", id: "m1").text == "hello")
        try directory.write(
            "upstreams: {b: {kind: websocket, urls: [\"ws://127.0.0.1:\(port)\"]}}\nroutes: {all: {upstreams: [b]}}\n",
            to: "config/gateway.yaml")
        gateway.signal(SIGHUP)
        _ = try await gateway.line("configuration reloaded")
        #expect(try await client.ask("hello", of: "", id: "m2").text == "HELLO")
        try await client.send(["type": "text", "id": "m3", "text": "slow 300 on"])
        _ = try await client.message("ack")
        try directory.write("upstreams: {}\nroutes: {}\n", to: "config/gateway.yaml")
        gateway.signal(SIGHUP)
        #expect(try await client.collectResponse(to: "m3").text == "SLOW 300 ON")
        #expect(try await client.ask("hello", of: "", id: "m4").text == "hello")
        try await gateway.stop()
    }

    @Test func `invalid upstreams and routes are rejected by config check`() async throws {
        for (flags, key) in [
            (["--upstreams.a.kind=openai"], "upstreams.a.urls"), (["--upstreams.a.kind=process"], "upstreams.a.command"),
            (["--upstreams.a.kind=websocket", "--upstreams.a.urls=http://x/"], "upstreams.a.urls"),
            (["--routes.a.type=text"], "routes.a.upstreams"), (["--routes.a.upstreams=b"], "routes.a.upstreams"),
            (["--upstreams.a.kindd=http"], "--upstreams.a.kindd"), (["--upstreams.A.kind=http"], "--upstreams.A.kind"),
            (["--upstreams.a.headers=X-A: b\r\nX-B: c"], "upstreams.a.headers"), (["--upstreams.a.api_key=a b"], "upstreams.a.api_key"),
        ] as [([String], String)] {
            let result = try await GatewayProcess.run(["config", "check"] + flags, directory: try TemporaryDirectory())
            #expect(result.status == 78, "\(flags)")
            #expect(
                (result.lines + result.errorLines).joined(separator: "\n").contains(key), "\(flags) \(result.lines) \(result.errorLines)")
        }
    }

    @Test func `config print masks secrets of upstreams`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("sk-verysecret\n", to: "key")
        let result = try await GatewayProcess.run(
            ["config", "print", "--upstreams.chat.kind=loopback"], directory: directory,
            environment: ["PARLEY_UPSTREAMS_CHAT_API_KEY_FILE": "key", "PARLEY_UPSTREAMS_CHAT_MODEL": "m"])
        #expect(result.status == 0, "\(result.errorLines)")
        #expect(result.lines.contains { $0.hasPrefix("upstreams.chat.api_key") && $0.contains("********") })
        #expect(result.lines.contains { $0.hasPrefix("upstreams.chat.model") && $0.contains(" m ") })
        #expect(!result.lines.joined().contains("verysecret"))
    }
}

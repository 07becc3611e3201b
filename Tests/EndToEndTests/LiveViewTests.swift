// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The timeline of turns and the tap of messages, which show operators where a conversation was slow.
@Suite(.bounded) struct LiveViewTests {
    /// A gateway with a voice assistant whose recognizer, model or neither is slow; `to` in the `meta` selects it.
    struct Assistant {
        static let delay = 400
        let gateway: GatewayProcess
        private let double: UpstreamDouble

        init(_ more: [String: String] = [:]) async throws {
            double = try await UpstreamDouble(script: "slow.py")
            var flags = [
                "routes.ear.meta": "to=ear", "routes.ear.upstreams": "slowear,chat,voice",
                "routes.mind.meta": "to=mind", "routes.mind.upstreams": "ear,slowchat,voice",
                "routes.fast.meta": "to=fast", "routes.fast.upstreams": "ear,chat,voice",
            ]
            for (name, task, delay) in [
                ("ear", "transcription", 0), ("slowear", "transcription", Self.delay), ("chat", "chat", 0),
                ("slowchat", "chat", Self.delay),
                ("voice", "speech", 0),
            ] {
                flags["upstreams.\(name).kind"] = "openai"
                flags["upstreams.\(name).task"] = task
                flags["upstreams.\(name).urls"] = "http://127.0.0.1:\(double.port)/\(delay)/v1"
                flags["upstreams.\(name).model"] = "test"
            }
            gateway = try await GatewayProcess(flags.merging(more) { $1 })
        }

        /// Says something and returns the audio of the response in bytes.
        @discardableResult
        func say(_ client: TestWebSocket, id: String, to route: String) async throws -> Int {
            let output: JSON = ["modalities": ["text", "audio"], "format": ["codec": "pcm16", "rate": 24_000, "channels": 1]]
            let response = try await client.say([3200, 3200], to: route, id: id, output: output)
            guard response.error.isNull else { throw TestFailure("\(response.messages)") }
            return response.audioBytes
        }

        func json(_ target: String) async throws -> JSON {
            let response = try await gateway.operationsResponse(to: HTTPRequestText(target))
            guard response.status == 200 else { throw TestFailure("\(response.status) \(response.body)") }
            return try response.json()
        }
    }

    private func turn(_ id: String, in timeline: JSON) throws -> JSON {
        try #require(timeline["turns"].array?.first { $0["request_id"].string == id }, "\(timeline)")
    }

    private func offset(_ turn: JSON, _ stage: String) throws -> Double { try #require(turn[stage].number, "no \(stage) in \(turn)") }

    @Test func `a slow recognizer, a slow model and a slow client each show in their stage`() async throws {
        let assistant = try await Assistant()
        let client = try await assistant.gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        try await assistant.say(client, id: "ear", to: "ear")
        try await assistant.say(client, id: "mind", to: "mind")
        let bytes = try await assistant.say(client, id: "slow", to: "fast")
        #expect(bytes == 19_200)
        // A client that begins to play late, and acknowledges after it.
        try await Task.sleep(for: .milliseconds(Assistant.delay))
        try await client.send(["type": "status", "state": "idle", "reply_to": "slow", "played_ms": 400])
        try await client.send(["type": "ack", "seq": 1000])
        try await client.expectServed()

        let timeline = try await assistant.json("/v1/sessions/\(id)/timeline")
        #expect(timeline["session_id"].string == id && timeline["state"] == "attached" && timeline["turns_pruned"] == 0)
        let delay = Double(Assistant.delay)
        for name in ["ear", "mind", "slow"] {
            let turn = try turn(name, in: timeline)
            let (end, transcript, token, audio, done) = (
                try offset(turn, "speech_end"), try offset(turn, "transcript"), try offset(turn, "first_token"),
                try offset(turn, "first_audio"), try offset(turn, "done")
            )
            #expect(end <= transcript && transcript <= token && token <= audio && audio <= done, "\(turn)")
            let stages = ["ear": transcript - end, "mind": token - transcript, "voice": audio - token]
            #expect(turn["outcome"] == "completed" && turn["kind"] == "audio" && turn["audio_out_ms"] == 400, "\(turn)")
            #expect(turn["input"] == "What is the weather like?" && turn["response"] == "It is sunny.", "\(turn)")
            switch name {
            // The doubles wait this long before they respond.
            case "ear", "mind": #expect((stages[name] ?? 0) >= delay && stages.max { $0.value < $1.value }?.key == name, "\(turn)")
            default:
                // Bounds of this client: it waited after the last message.
                #expect(try offset(turn, "played") - done >= delay && offset(turn, "delivered") - done >= delay, "\(turn)")
                let played = try offset(turn, "played") - audio
                #expect(stages.values.allSatisfy { $0 < delay } || played > delay, "\(turn)")
            }
        }
        #expect(try turn("ear", in: timeline)["played"].isNull && timeline["events"][0]["event"] == "connected")

        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
        _ = try await assistant.gateway.line { $0["msg"] == "session ended" }
        let ended = try await assistant.json("/v1/sessions/\(id)/timeline")
        #expect(ended["state"] == "ended" && ended["turns"] == timeline["turns"])
        try await assistant.gateway.stop()
    }

    @Test func `texts require the right content and reports content full`() async throws {
        let assistant = try await Assistant([
            "operations.token": "all-rights", "operations.tokens.reader.secret": "reader-secret", "operations.tokens.reader.rights": "read",
            "operations.tokens.listener.secret": "listener-secret", "operations.tokens.listener.rights": "supervise",
        ])
        let client = try await assistant.gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        try await assistant.say(client, id: "a", to: "fast")
        func get(_ path: String, _ token: String?) async throws -> HTTPResponseText {
            var request = HTTPRequestText("/v1/sessions/\(id)/\(path)")
            if let token { request.fields.append(("Authorization", "Bearer \(token)")) }
            return try await assistant.gateway.operationsResponse(to: request)
        }
        let read = try await get("timeline", "reader-secret")
        #expect(read.status == 200 && !read.body.contains("sunny") && !read.body.contains("weather") && read.body.contains("first_token"))
        #expect(try await get("timeline", "all-rights").body.contains("sunny"))
        #expect(try await get("timeline", nil).status == 401)
        let refused = try await get("timeline", "listener-secret")
        #expect(refused.status == 403 && refused.body.contains("the token lacks the right read"))
        #expect(try await get("tap", "reader-secret").body.contains("the token lacks the right supervise"))

        // Without the right content, the frames have no contents.
        for (token, hasContent) in [("listener-secret", false), ("all-rights", true)] {
            let tap = try await Tap(assistant.gateway, session: id, token: token)
            try await client.send(["type": "text", "id": .string("t-\(token)"), "text": "whisper it", "meta": ["to": "mind"]])
            _ = try await client.collectResponse(to: "t-\(token)")
            let text = try await tap.text(until: "event: end", orType: "text", count: 2)
            #expect(text.contains("whisper it") == hasContent, "\(text)")
            #expect(text.contains(#""type":"ack""#) && text.contains(#""direction":"in""#), "\(text)")
            await tap.socket.reset()
        }
        let line = try await assistant.gateway.line { $0["msg"] == "session tapped" && $0["operator"] == "listener" }
        #expect(line["session_id"].string == id && line["content"] == "false")
        try await assistant.gateway.stop()
    }

    /// The stream of a tap.
    private struct Tap {
        let socket: TestSocket

        init(_ gateway: GatewayProcess, session: String, token: String?) async throws {
            socket = try await TestSocket.connect(port: gateway.operationsPort, .none)
            var request = HTTPRequestText("/v1/sessions/\(session)/tap")
            if let token { request.fields.append(("Authorization", "Bearer \(token)")) }
            try await socket.send(request.bytes)
            _ = try await text(until: "event: session", orType: "session", count: 1)
        }

        /// Returns what was received, once it contains the text, or as many frames of a type.
        func text(until wanted: String, orType type: String, count: Int) async throws -> String {
            try await socket.receive { incoming -> String? in
                let text = String(decoding: incoming.rest, as: UTF8.self)
                let frames = text.components(separatedBy: "\"type\":\"\(type)\"").count - 1
                guard text.contains(wanted) || frames >= count, text.hasSuffix("\n\n") || text.hasSuffix("\r\n") else { return nil }
                _ = incoming.consume(incoming.rest.count)
                return text
            }
        }
    }

    @Test func `a tap shows the messages of both directions, and ends with the session`() async throws {
        let gateway = try await GatewayProcess()
        let client = try await gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        let tap = try await Tap(gateway, session: id, token: nil)
        try await client.send(["type": "text", "id": "m1", "text": "hello tap"])
        _ = try await client.message("ack")
        _ = try await client.message("text")
        try await client.send(["type": "auth", "token": "not-for-operators"])
        try await client.send("{nonsense not-for-operators")
        try await client.send(["type": "bye"])
        let text = try await tap.text(until: "event: end", orType: "bye", count: 100)
        let frames = text.components(separatedBy: "data: ").dropFirst().compactMap { part in
            part.split(separator: "\n").first.flatMap { try? JSON(String($0)) }
        }.filter { $0["direction"].string != nil }
        let shown = frames.map { "\($0["direction"].string ?? "") \($0["type"].string ?? "")" }
        #expect(shown.first == "in text" && shown.prefix(3).contains("out ack") && shown.prefix(3).contains("out text"), "\(shown)")
        #expect(shown.contains("in auth") && shown.contains("in invalid") && shown.contains("in bye"), "\(shown)")
        #expect(frames[0]["content"].string?.contains("hello tap") == true && frames[0]["size"].integer ?? 0 > 20)
        #expect(frames.first { $0["type"] == "text" && $0["direction"] == "out" }?["seq"] == 1)
        #expect(!text.contains("not-for-operators"))
        #expect(try await gateway.operationsResponse(to: HTTPRequestText("/v1/sessions/\(id)/tap")).status == 404)
        try await gateway.stop()
    }

    @Test func `a session has at most four taps, and a closed tap makes room`() async throws {
        let gateway = try await GatewayProcess()
        let client = try await gateway.webSocket()
        let id = try await client.message("session")["session_id"].string ?? ""
        var taps: [Tap] = []
        for _ in 0..<4 { taps.append(try await Tap(gateway, session: id, token: nil)) }
        let refused = try await gateway.operationsResponse(to: HTTPRequestText("/v1/sessions/\(id)/tap"))
        #expect(refused.status == 409 && refused.body.contains("Limit of taps reached (4"))
        try await client.expectServed()
        await taps.removeLast().socket.reset()
        // The gateway notices a closed connection when it next writes to it.
        for _ in 0..<200 {
            try await client.expectServed()
            if let tap = try? await Tap(gateway, session: id, token: nil) {
                taps.append(tap)
                break
            }
        }
        #expect(taps.count == 4)
        try await gateway.stop()
    }
}

import Foundation
import Support
import Testing

/// A chat server that requires alternating roles, behind the real executable: a failed request must not break the conversation.
@Suite(.bounded) struct StrictChatTests {
    private struct Setting {
        let double: UpstreamDouble
        let gateway: GatewayProcess
        let client: WebSocketClient

        init(_ flags: [String: String] = [:], environment: [String: String] = [:], path: String = "/v1") async throws {
            double = try await UpstreamDouble(script: "strict_chat.py")
            gateway = try await GatewayProcess(
                [
                    "upstreams.chat.kind": "openai", "upstreams.chat.urls": "http://127.0.0.1:\(double.port)\(path)",
                    "upstreams.chat.model": "m",
                    "upstreams.chat.retries": "0", "routes.all.upstreams": "chat", "limits.control_per_minute": "0",
                ].merging(flags) { $1 }, environment: environment)
            client = try await gateway.client()
        }

        func ask(_ text: String, id: String, stream: Bool = true) async throws -> CollectedResponse {
            try await client.ask(text, of: "", id: id, stream: stream)
        }

        /// The contents of the messages in the last request that the double received.
        func prompt() throws -> [String] {
            let request = try #require(try double.events.last { $0["event"] == "request" })
            return request["messages"].array?.compactMap { $0["content"].string } ?? []
        }

        func request() throws -> JSON { try #require(try double.events.last { $0["event"] == "request" }) }
    }

    @Test(arguments: ["fail now", "forbidden words", "null", "half"], [true, false])
    func `a request without a response doesn't affect later requests`(text: String, stream: Bool) async throws {
        guard stream || text != "half" else { return }
        let setting = try await Setting()
        #expect(try await setting.ask("one", id: "m1").text.trimmed == "ONE")
        let response = try await setting.ask(text, id: "m2", stream: stream)
        #expect((response.error["code"].string == nil) == (text == "null"))
        for number in 3...5 {
            let next = try await setting.ask("word \(number)", id: "m\(number)")
            #expect(next.text.trimmed == "WORD \(number)", "\(next.last)")
        }
        if text != "half" { #expect(try !setting.prompt().contains(text)) }
        try await setting.gateway.stop()
    }

    @Test func `a request cancelled before its first delta doesn't affect later requests`() async throws {
        let setting = try await Setting()
        try await setting.client.send(["type": "text", "id": "m1", "text": "hang on"])
        _ = try await setting.client.message("ack")
        try await setting.double.event { $0["event"] == "request" }
        try await setting.client.send(["type": "cancel", "id": "m1"])
        _ = try await setting.client.message("status")
        #expect(try await setting.ask("go on", id: "m2").text.trimmed == "GO ON")
        #expect(try setting.prompt() == ["go on"])
        try await setting.gateway.stop()
    }

    @Test func `concurrent texts are merged into one message, and a truncated history begins with a user message`() async throws {
        let setting = try await Setting(["upstreams.chat.history_messages": "3"])
        try await setting.client.send(["type": "text", "id": "m1", "text": "hang one"])
        try await setting.double.event { $0["event"] == "request" }
        #expect(try await setting.ask("two", id: "m2").text.trimmed == "TWO")
        #expect(try setting.prompt() == ["hang one\ntwo"])
        try await setting.client.send(["type": "cancel", "id": "m1"])
        for number in 3...6 {
            #expect(try await setting.ask("word \(number)", id: "m\(number)").text.trimmed == "WORD \(number)")
            #expect(try setting.prompt().last == "word \(number)")
        }
        #expect(try setting.prompt() == ["word 5", "WORD 5 ", "word 6"])
        try await setting.gateway.stop()
    }

    @Test func `a repeated question is in the history once`() async throws {
        let setting = try await Setting()
        let broken = try await setting.ask("half of it", id: "m1")
        #expect(broken.error["retryable"] == true && broken.last["finish"] == "error")
        _ = try await setting.ask("half of it", id: "m2")
        #expect(try setting.prompt() == ["half of it"])
        try await setting.gateway.stop()
    }

    @Test(
        arguments: [
            ("hello", "HELLO", "stop"), ("length of it", "LENGTH OF IT", "length"), ("refuse this", "I can't help with that.", "stop"),
            ("tools", "", "tool_calls"),
            ("filtered text", "FILTERED TEXT", "content_filter"), ("null", "", "stop"),
        ], [true, false])
    func `the last message has the finish reason`(_ item: (text: String, response: String, finish: String), stream: Bool) async throws {
        let setting = try await Setting()
        let response = try await setting.ask(item.text, id: "m1", stream: stream)
        #expect(response.text.trimmed == item.response)
        #expect(response.last["done"] == true)
        #expect(response.last["finish"].string == item.finish)
        #expect(response.last["error"].isNull)
        try await setting.gateway.stop()
    }

    @Test func `reasoning is reported as the state thinking, and its text isn't forwarded`() async throws {
        let setting = try await Setting()
        let response = try await setting.ask("think of it", id: "m1")
        #expect(response.messages.first?["state"] == "thinking")
        #expect((response.messages.first?["bytes"].integer ?? 0) >= 30)
        #expect(response.messages.filter { $0["type"] == "status" }.count == 1)
        #expect(response.text.trimmed == "THINK OF IT")
        try await setting.gateway.stop()
    }

    @Test func `a client that provokes failures opens no breaker, and another client is served`() async throws {
        let setting = try await Setting(["upstreams.chat.breaker_failures": "2", "limits.text_per_minute": "0"])
        let other = try await setting.gateway.client()
        for round in 0..<6 {
            for (index, text) in ["null", "tools", "refuse", "forbidden", "filtered"].enumerated() {
                _ = try await setting.ask(text, id: "m\(round)-\(index)", stream: round % 2 == 0)
            }
            #expect(try await other.ask("hello there", of: "", id: "o\(round)").text.trimmed == "HELLO THERE")
        }
        let state = try await setting.gateway.operationsResponse(to: HTTPRequestText("/v1/gateway")).body
        #expect(state.contains(#""breaker":"closed""#))
        try await setting.gateway.stop()
    }

    @Test func `requests have the configured query, headers and extra body members`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("api-key: s3cret, with a comma\nX-Team: voice\n", to: "fields")
        let setting = try await Setting(
            [
                "upstreams.chat.extra_body": #"{"temperature":0.25,"top_p":1,"stop":["a","b"],"user":"yes"}"#,
                "upstreams.chat.stream_usage": "false",
                "upstreams.chat.max_tokens": "7",
            ], environment: ["PARLEY_UPSTREAMS_CHAT_HEADERS_FILE": directory.path + "/fields"],
            path: "/openai/deployments/x/?api-version=2024-10-21")
        #expect(try await setting.ask("hello", id: "m1").text.trimmed == "HELLO")
        let request = try setting.request()
        #expect(request["path"] == "/openai/deployments/x/chat/completions?api-version=2024-10-21")
        #expect(request["headers"]["api-key"] == "s3cret, with a comma" && request["headers"]["x-team"] == "voice")
        #expect(
            request["body"] == [
                "model": "m", "max_tokens": 7, "stream": true, "temperature": 0.25, "top_p": 1, "stop": ["a", "b"], "user": "yes",
            ])
        try await setting.gateway.stop()
    }

    @Test func `extra_body is a map in a file, and members set by the gateway are rejected`() async throws {
        let directory = try TemporaryDirectory()
        let block = "upstreams:\n  chat:\n    kind: openai\n    urls: [\"http://127.0.0.1:1/v1\"]\n    model: m\n    extra_body:\n"
        let route = "routes: {all: {upstreams: [chat]}}\n"
        try directory.write(
            block + "      temperature: 0.25\n      seed: 7\n      user: \"7\"\n      nested: {a: [true, null]}\n" + route,
            to: "config/gateway.yaml")
        let shown = try await GatewayProcess.run(["config", "print"], directory: directory)
        #expect(shown.lines.contains { $0.contains(#"{"nested":{"a":[true,null]},"seed":7,"temperature":0.25,"user":"7"}"#) }, "\(shown)")
        for member in ["stream: false", "messages: []"] {
            try directory.write(block + "      \(member)\n" + route, to: "config/gateway.yaml")
            let result = try await GatewayProcess.run(["config", "check"], directory: directory)
            #expect(result.status == 78)
            #expect((result.lines + result.errorLines).joined().contains("extra_body"))
        }
    }

    @Test func `config print masks headers`() async throws {
        let result = try await GatewayProcess.run(
            ["config", "print", "--upstreams.chat.kind=loopback", "--upstreams.chat.headers=api-key: verysecret"],
            directory: try TemporaryDirectory())
        #expect(result.status == 0)
        #expect(!result.lines.joined().contains("verysecret"))
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespaces) }
}

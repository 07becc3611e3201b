// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// A chat server that requires alternating roles, behind the real executable. A failed request must not break the conversation.
@Suite(.bounded) struct StrictChatTests {
    private struct Fixture {
        let double: UpstreamDouble
        let gateway: GatewayProcess
        let client: TestWebSocket

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
        let fixture = try await Fixture()
        #expect(try await fixture.ask("one", id: "m1").text.trimmed == "ONE")
        let response = try await fixture.ask(text, id: "m2", stream: stream)
        #expect((response.error["code"].string == nil) == (text == "null"))
        for number in 3...5 {
            let next = try await fixture.ask("word \(number)", id: "m\(number)")
            #expect(next.text.trimmed == "WORD \(number)", "\(next.last)")
        }
        if text != "half" { #expect(try !fixture.prompt().contains(text)) }
        try await fixture.gateway.stop()
    }

    @Test func `a request cancelled before its first delta doesn't affect later requests`() async throws {
        let fixture = try await Fixture()
        try await fixture.client.send(["type": "text", "id": "m1", "text": "hang on"])
        _ = try await fixture.client.message("ack")
        try await fixture.double.event { $0["event"] == "request" }
        try await fixture.client.send(["type": "cancel", "id": "m1"])
        _ = try await fixture.client.message("status")
        #expect(try await fixture.ask("go on", id: "m2").text.trimmed == "GO ON")
        #expect(try fixture.prompt() == ["go on"])
        try await fixture.gateway.stop()
    }

    @Test func `concurrent texts are merged into one message, and a truncated history begins with a user message`() async throws {
        let fixture = try await Fixture(["upstreams.chat.history_messages": "3"])
        try await fixture.client.send(["type": "text", "id": "m1", "text": "hang one"])
        try await fixture.double.event { $0["event"] == "request" }
        #expect(try await fixture.ask("two", id: "m2").text.trimmed == "TWO")
        #expect(try fixture.prompt() == ["hang one\ntwo"])
        try await fixture.client.send(["type": "cancel", "id": "m1"])
        for number in 3...6 {
            #expect(try await fixture.ask("word \(number)", id: "m\(number)").text.trimmed == "WORD \(number)")
            #expect(try fixture.prompt().last == "word \(number)")
        }
        #expect(try fixture.prompt() == ["word 5", "WORD 5 ", "word 6"])
        try await fixture.gateway.stop()
    }

    @Test func `a question that is repeated after a failure is in the history once`() async throws {
        let fixture = try await Fixture()
        let broken = try await fixture.ask("half of it", id: "m1")
        #expect(broken.error["retryable"] == true && broken.last["finish"] == "error")
        _ = try await fixture.ask("half of it", id: "m2")
        #expect(try fixture.prompt() == ["half of it"])
        try await fixture.gateway.stop()
    }

    @Test(
        arguments: [
            ("hello", "HELLO", "stop"), ("length of it", "LENGTH OF IT", "length"), ("refuse this", "I can't help with that.", "stop"),
            ("tools", "", "tool_calls"),
            ("filtered text", "FILTERED TEXT", "content_filter"), ("null", "", "stop"),
        ], [true, false])
    func `the last message has the finish reason`(_ item: (text: String, response: String, finish: String), stream: Bool) async throws {
        let fixture = try await Fixture()
        let response = try await fixture.ask(item.text, id: "m1", stream: stream)
        #expect(response.text.trimmed == item.response)
        #expect(response.last["done"] == true)
        #expect(response.last["finish"].string == item.finish)
        #expect(response.last["error"].isNull)
        try await fixture.gateway.stop()
    }

    @Test func `reasoning is reported as the state thinking, and its text isn't forwarded`() async throws {
        let fixture = try await Fixture()
        let response = try await fixture.ask("think of it", id: "m1")
        #expect(response.messages.first?["state"] == "thinking")
        #expect((response.messages.first?["bytes"].integer ?? 0) >= 30)
        #expect(response.messages.filter { $0["type"] == "status" }.count == 1)
        #expect(response.text.trimmed == "THINK OF IT")
        try await fixture.gateway.stop()
    }

    @Test func `a client that provokes failures opens no breaker, and another client is served`() async throws {
        let fixture = try await Fixture(["upstreams.chat.breaker_failures": "2", "limits.text_per_minute": "0"])
        let other = try await fixture.gateway.client()
        for round in 0..<6 {
            for (index, text) in ["null", "tools", "refuse", "forbidden", "filtered"].enumerated() {
                _ = try await fixture.ask(text, id: "m\(round)-\(index)", stream: round % 2 == 0)
            }
            #expect(try await other.ask("hello there", of: "", id: "o\(round)").text.trimmed == "HELLO THERE")
        }
        let state = try await fixture.gateway.operationsResponse(to: HTTPRequestText("/v1/gateway")).body
        #expect(state.contains(#""breaker":"closed""#))
        try await fixture.gateway.stop()
    }

    @Test func `upstream requests have the configured query, headers and extra body members`() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("api-key: s3cret, with a comma\nX-Team: voice\n", to: "fields")
        let fixture = try await Fixture(
            [
                "upstreams.chat.extra_body": #"{"temperature":0.25,"top_p":1,"stop":["a","b"],"user":"yes"}"#,
                "upstreams.chat.stream_usage": "false",
                "upstreams.chat.max_tokens": "7",
            ], environment: ["PARLEY_UPSTREAMS_CHAT_HEADERS_FILE": directory.path + "/fields"],
            path: "/openai/deployments/x/?api-version=2024-10-21")
        #expect(try await fixture.ask("hello", id: "m1").text.trimmed == "HELLO")
        let request = try fixture.request()
        #expect(request["path"] == "/openai/deployments/x/chat/completions?api-version=2024-10-21")
        #expect(request["headers"]["api-key"] == "s3cret, with a comma" && request["headers"]["x-team"] == "voice")
        #expect(
            request["body"] == [
                "model": "m", "max_tokens": 7, "stream": true, "temperature": 0.25, "top_p": 1, "stop": ["a", "b"], "user": "yes",
            ])
        try await fixture.gateway.stop()
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

// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Spoken responses. The loopback is the respond stage, and the TTS service fails on sentences that contain the name of a fault.
@Suite(.bounded) struct SpeechTests {
    private static let both: JSON = ["modalities": ["text", "audio"]]
    /// Bytes of audio that the TTS service returns per word.
    private static let word = 8820

    private struct Fixture {
        let double: UpstreamDouble
        let gateway: GatewayProcess
        let client: TestWebSocket

        init(_ more: [String: String] = [:]) async throws {
            double = try await UpstreamDouble("openai")
            var flags = ["upstreams.echo.kind": "loopback"]
            for (name, strips) in [("voice", "true"), ("verbatim", "false")] {
                flags["upstreams.\(name).kind"] = "openai"
                flags["upstreams.\(name).task"] = "speech"
                flags["upstreams.\(name).urls"] = "http://127.0.0.1:\(double.port)/v1"
                flags["upstreams.\(name).retries"] = "0"
                flags["upstreams.\(name).breaker_failures"] = "1000"
                flags["upstreams.\(name).breaker_rate"] = "0"
                flags["upstreams.\(name).first_byte_timeout"] = "1s"
                flags["upstreams.\(name).strip_markdown"] = strips
            }
            for (route, upstreams) in [
                ("skip", "echo,voice"), ("strict", "echo,voice"), ("verbatim", "echo,verbatim"), ("direct", "voice"),
            ] {
                flags["routes.\(route).meta"] = "to=\(route)"
                flags["routes.\(route).upstreams"] = upstreams
            }
            flags["routes.strict.speech_failures"] = "fail"
            gateway = try await GatewayProcess(flags.merging(more) { $1 })
            client = try await gateway.client()
        }

        func ask(_ text: String, of route: String = "skip", id: String = "m1", output: JSON = both) async throws -> CollectedResponse {
            try await client.send([
                "type": "text", "id": .string(id), "text": .string(text), "output": output, "meta": ["to": .string(route)],
            ])
            return try await client.collectResponse(to: id)
        }

        /// The texts that the TTS service received.
        var spoken: [String] { get throws { try double.events.filter { $0["event"] == "request" }.compactMap { $0["text"].string } } }
    }

    private func statuses(_ response: CollectedResponse) -> [String?] {
        response.messages.filter { $0["type"] == "status" }.map { $0["state"].string }
    }

    @Test(arguments: [
        ("That is a great question! 😀", ["That is a great question!"]), ("Let me think about it. …", ["Let me think about it."]),
        ("Let me think about it.\n—\n👍🏽👍🏽👍🏽👍🏽👍🏽\n", ["Let me think about it."]),
        ("Here is the code, as asked:\n```\n{ }\n```\n| | | | | | | | | | | |\n", ["Here is the code, as asked:"]),
        ("😀😀😀😀😀😀\nAnd this comes behind them.", ["And this comes behind them."]),
    ])
    func `a sentence without a letter or a digit isn't sent to the TTS service`(text: String, sentences: [String]) async throws {
        let fixture = try await Fixture()
        let response = try await fixture.ask(text)
        #expect(response.text == text)
        // The TTS service reports a request after its response.
        for sentence in sentences { _ = try await fixture.double.event { $0["event"] == "request" && $0["text"].string == sentence } }
        #expect(try fixture.spoken == sentences)
        #expect(response.audioBytes == Self.word * sentences.joined(separator: " ").split(separator: " ").count)
        #expect(response.last["done"] == true && response.last["speech"].isNull && statuses(response) == [])
        try await fixture.gateway.stop()
    }

    @Test(arguments: ["👍", "…", "—", "***", "```\n```"])
    func `a response without a letter or a digit completes without audio`(text: String) async throws {
        let fixture = try await Fixture()
        let response = try await fixture.ask(text)
        #expect(response.text == text && response.audioBytes == 0)
        #expect(response.last["done"] == true && response.error.isNull)
        #expect(try fixture.spoken == [])
        #expect(try await fixture.ask("And now something to say.", id: "m2").audioBytes == 5 * Self.word)
        try await fixture.gateway.stop()
    }

    @Test(arguments: ["error 500", "error 400", "error 429", "rubbish", "garbage-status", "close-fin", "die"])
    func `a sentence that fails in the TTS service lacks its audio, and a status reports it`(fault: String) async throws {
        let fixture = try await Fixture()
        let text = "This is the first sentence. \(fault) is what the second one names. This is the third sentence, then."
        let response = try await fixture.ask(text)
        #expect(response.text == text)
        #expect(try fixture.spoken.count == 3)
        // The audio of a sentence that fails midway is delivered up to the failure.
        #expect(response.audioBytes >= 11 * Self.word && response.audioBytes < 18 * Self.word)
        #expect(statuses(response) == ["speech_failed"])
        #expect(response.messages.filter { $0["type"] == "audio" }.count == 2)
        #expect(response.last["done"] == true && response.last["speech"] == "partial" && response.error.isNull)
        #expect(try await fixture.ask("And now something to say.", id: "m2").audioBytes == 5 * Self.word)
        try await fixture.gateway.stop()
    }

    @Test func `a response without any spoken sentence keeps its text, and speech is failed`() async throws {
        let fixture = try await Fixture()
        let text = "error 500 is what this sentence names. error 500 is what this one names, too."
        let response = try await fixture.ask(text)
        #expect(response.text == text && response.audioBytes == 0)
        #expect(statuses(response) == ["speech_failed", "speech_failed"])
        #expect(response.last["done"] == true && response.last["speech"] == "failed" && response.error.isNull)
        try await fixture.gateway.stop()
    }

    @Test(arguments: ["direct", "skip"])
    func `an audio-only request fails if no sentence can be spoken`(route: String) async throws {
        let fixture = try await Fixture()
        let text = "error 500 is what this sentence names. error 500 is what this one names, too."
        let response = try await fixture.ask(text, of: route, output: ["modalities": ["audio"]])
        #expect(response.error["code"] == "upstream_error" && response.last["done"] == true)
        let part = try await fixture.ask("This one is fine, as it is. " + text, of: route, id: "m2", output: ["modalities": ["audio"]])
        #expect(part.audioBytes == 7 * Self.word && part.last["speech"] == "partial" && part.error.isNull)
        try await fixture.gateway.stop()
    }

    @Test func `with speech_failures fail a failed sentence fails the request`() async throws {
        let fixture = try await Fixture()
        let response = try await fixture.ask("This is the first sentence. error 500 is what this one names. And more.", of: "strict")
        #expect(response.error["code"] == "upstream_error" && response.last["done"] == true)
        #expect(statuses(response) == [])
        #expect(try await fixture.ask("And now something to say.", of: "strict", id: "m2").audioBytes == 5 * Self.word)
        try await fixture.gateway.stop()
    }

    @Test func `after two timeouts in a row the TTS service isn't called again`() async throws {
        let fixture = try await Fixture()
        let text = String(repeating: "hang is what this sentence names. ", count: 5)
        let response = try await fixture.ask(text)
        #expect(response.text == text)
        #expect(statuses(response) == Array(repeating: "speech_failed", count: 5))
        #expect(try fixture.spoken.count == 2)
        #expect(response.last["speech"] == "failed")
        try await fixture.gateway.stop()
    }

    @Test func `Markdown is removed for the TTS service, and the client's text is unchanged`() async throws {
        let fixture = try await Fixture()
        let text = """
            ## Weather in **Berlin**

            It is *sunny* today, see [the forecast](https://example.com/x?y=1).

            | Day | Degrees |
            |-----|---------|
            | Monday | 21 |

            - Take `sunglasses` with you
            - Visit https://www.berlin.de/en/ now

            ```python
            print("never spoken")
            ```
            """
        let response = try await fixture.ask(text)
        #expect(response.text == text)
        #expect(
            try fixture.spoken == [
                "Weather in Berlin", "It is sunny today, see the forecast.", "Day, Degrees\n\nMonday, 21", "Take sunglasses with you",
                "Visit berlin.de now",
            ])
        #expect(response.last["done"] == true && response.last["speech"].isNull)
        let verbatim = try await fixture.ask("**Bold** and [a link](https://example.com).", of: "verbatim", id: "m2")
        #expect(verbatim.text == "**Bold** and [a link](https://example.com).")
        #expect(try fixture.spoken.last == "**Bold** and [a link](https://example.com).")
        try await fixture.gateway.stop()
    }

    @Test(
        arguments: [
            (1200, "Read **all** of [this page](https://example.com/a/b) now."),
            (1600, "Read **all** of [this page](https://example.com/a/b) now. Then *stop*"), (600, "Read **all** of"),
        ] as [(Int, String)])
    func `the history contains the text, Markdown included, up to the played audio`(played: Int, playedText: String) async throws {
        let port = try await UpstreamDouble.shared("openai").port
        let fixture = try await Fixture([
            "upstreams.chat.kind": "openai", "upstreams.chat.urls": "http://127.0.0.1:\(port)/v1", "upstreams.chat.model": "test",
            "routes.chat.meta": "to=chat",
            "routes.chat.upstreams": "chat",
        ])
        let text = "Read **all** of [this page](https://example.com/a/b) now. Then *stop* at once, please."
        #expect(try await fixture.ask(text).audioBytes == 11 * Self.word)
        try await fixture.client.send(["type": "status", "state": "idle", "reply_to": "m1", "played_ms": .number(Double(played))])
        let question = "unlike any other \(played)"
        _ = try await fixture.ask(question, of: "chat", id: "m2")
        let request = try await UpstreamDouble.shared("openai").event { $0["event"] == "request" && $0["text"].string == question }
        let lines = request["conversation"].array ?? []
        let response = try #require(lines.first { $0[0] == "assistant" }?[1].string)
        #expect(response.hasPrefix(playedText) && response.count <= playedText.count + 1)
        try await fixture.gateway.stop()
    }

    @Test(arguments: [
        ("नमस्ते, आप कैसे हैं। मैं ठीक हूँ, धन्यवाद।", 2), ("كيف حالك اليوم؟ أنا بخير، شكرا لك.", 2), ("آپ کیسے ہیں جناب۔ میں ٹھیک ہوں۔", 2),
        ("今日はとてもいい天気ですね。明日も晴れるでしょう。", 2), ("እንዴት ነህ ወዳጄ። ደህና ነኝ አመሰግናለሁ።", 2), ("It costs 3.50 at Dr. Smith's… Fine then.", 2),
    ])
    func `sentences are split by the rules of their script`(text: String, count: Int) async throws {
        let fixture = try await Fixture()
        #expect(try await fixture.ask(text).text == text)
        #expect(try fixture.spoken.count == count)
        try await fixture.gateway.stop()
    }
}

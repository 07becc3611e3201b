import Support
import Testing

/// Answers that are spoken: a loopback in place of a model, and a speaker that fails on the sentences that name a fault.
@Suite(.bounded) struct SpeechTests {
    private static let both: JSON = ["modalities": ["text", "audio"]]
    /// Bytes of sound that the speaker makes of a word.
    private static let word = 8820

    private struct Place {
        let double: UpstreamDouble
        let gateway: GatewayProcess
        let client: WebSocketClient

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

        func ask(_ text: String, of route: String = "skip", id: String = "m1", output: JSON = both) async throws -> Answer {
            try await client.send([
                "type": "text", "id": .string(id), "text": .string(text), "output": output, "meta": ["to": .string(route)],
            ])
            return try await client.answer(to: id)
        }

        /// The texts that the speaker was given.
        var spoken: [String] { get throws { try double.events.filter { $0["event"] == "request" }.compactMap { $0["text"].string } } }
    }

    private func statuses(_ answer: Answer) -> [String?] { answer.messages.filter { $0["type"] == "status" }.map { $0["state"].string } }

    @Test(arguments: [
        ("That is a great question! 😀", ["That is a great question!"]), ("Let me think about it. …", ["Let me think about it."]),
        ("Let me think about it.\n—\n👍🏽👍🏽👍🏽👍🏽👍🏽\n", ["Let me think about it."]),
        ("Here is the code, as asked:\n```\n{ }\n```\n| | | | | | | | | | | |\n", ["Here is the code, as asked:"]),
        ("😀😀😀😀😀😀\nAnd this comes behind them.", ["And this comes behind them."]),
    ])
    func `a sentence without a letter or a digit isn't sent to the speaker`(text: String, sentences: [String]) async throws {
        let place = try await Place()
        let answer = try await place.ask(text)
        #expect(answer.text == text)
        // The upstream reports a request when it has answered it.
        for sentence in sentences { _ = try await place.double.event { $0["event"] == "request" && $0["text"].string == sentence } }
        #expect(try place.spoken == sentences)
        #expect(answer.audioBytes == Self.word * sentences.joined(separator: " ").split(separator: " ").count)
        #expect(answer.last["done"] == true && answer.last["speech"].isNull && statuses(answer) == [])
        try await place.gateway.stop()
    }

    @Test(arguments: ["👍", "…", "—", "***", "```\n```"])
    func `an answer without a letter or a digit is complete without sound`(text: String) async throws {
        let place = try await Place()
        let answer = try await place.ask(text)
        #expect(answer.text == text && answer.audioBytes == 0)
        #expect(answer.last["done"] == true && answer.error.isNull)
        #expect(try place.spoken == [])
        #expect(try await place.ask("And now something to say.", id: "m2").audioBytes == 5 * Self.word)
        try await place.gateway.stop()
    }

    @Test(arguments: ["error 500", "error 400", "error 429", "rubbish", "garbage-status", "close-fin", "die"])
    func `a sentence that the speaker fails on costs its sound, and a status tells so`(fault: String) async throws {
        let place = try await Place()
        let text = "This is the first sentence. \(fault) is what the second one names. This is the third sentence, then."
        let answer = try await place.ask(text)
        #expect(answer.text == text)
        #expect(try place.spoken.count == 3)
        // A sentence that breaks off is heard as far as it came.
        #expect(answer.audioBytes >= 11 * Self.word && answer.audioBytes < 18 * Self.word)
        #expect(statuses(answer) == ["speech_failed"])
        #expect(answer.messages.filter { $0["type"] == "audio" }.count == 2)
        #expect(answer.last["done"] == true && answer.last["speech"] == "partial" && answer.error.isNull)
        #expect(try await place.ask("And now something to say.", id: "m2").audioBytes == 5 * Self.word)
        try await place.gateway.stop()
    }

    @Test func `an answer of which no sentence can be spoken keeps its text, and says that its sound failed`() async throws {
        let place = try await Place()
        let text = "error 500 is what this sentence names. error 500 is what this one names, too."
        let answer = try await place.ask(text)
        #expect(answer.text == text && answer.audioBytes == 0)
        #expect(statuses(answer) == ["speech_failed", "speech_failed"])
        #expect(answer.last["done"] == true && answer.last["speech"] == "failed" && answer.error.isNull)
        try await place.gateway.stop()
    }

    @Test(arguments: ["direct", "skip"])
    func `where nothing but sound was to come, the request fails if no sentence can be spoken`(route: String) async throws {
        let place = try await Place()
        let text = "error 500 is what this sentence names. error 500 is what this one names, too."
        let answer = try await place.ask(text, of: route, output: ["modalities": ["audio"]])
        #expect(answer.error["code"] == "upstream_error" && answer.last["done"] == true)
        let part = try await place.ask("This one is fine, as it is. " + text, of: route, id: "m2", output: ["modalities": ["audio"]])
        #expect(part.audioBytes == 7 * Self.word && part.last["speech"] == "partial" && part.error.isNull)
        try await place.gateway.stop()
    }

    @Test func `a route may demand that the request fails with a sentence`() async throws {
        let place = try await Place()
        let answer = try await place.ask("This is the first sentence. error 500 is what this one names. And more.", of: "strict")
        #expect(answer.error["code"] == "upstream_error" && answer.last["done"] == true)
        #expect(statuses(answer) == [])
        #expect(try await place.ask("And now something to say.", of: "strict", id: "m2").audioBytes == 5 * Self.word)
        try await place.gateway.stop()
    }

    @Test func `a speaker that doesn't answer twice in a row isn't waited for again`() async throws {
        let place = try await Place()
        let text = String(repeating: "hang is what this sentence names. ", count: 5)
        let answer = try await place.ask(text)
        #expect(answer.text == text)
        #expect(statuses(answer) == Array(repeating: "speech_failed", count: 5))
        #expect(try place.spoken.count == 2)
        #expect(answer.last["speech"] == "failed")
        try await place.gateway.stop()
    }

    @Test func `Markdown is reduced for the speaker, and the client's text is as it was`() async throws {
        let place = try await Place()
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
        let answer = try await place.ask(text)
        #expect(answer.text == text)
        #expect(
            try place.spoken == [
                "Weather in Berlin", "It is sunny today, see the forecast.", "Day, Degrees\n\nMonday, 21", "Take sunglasses with you",
                "Visit berlin.de now",
            ])
        #expect(answer.last["done"] == true && answer.last["speech"].isNull)
        let verbatim = try await place.ask("**Bold** and [a link](https://example.com).", of: "verbatim", id: "m2")
        #expect(verbatim.text == "**Bold** and [a link](https://example.com).")
        #expect(try place.spoken.last == "**Bold** and [a link](https://example.com).")
        try await place.gateway.stop()
    }

    @Test(
        arguments: [
            (1200, "Read **all** of [this page](https://example.com/a/b) now."),
            (1600, "Read **all** of [this page](https://example.com/a/b) now. Then *stop*"), (600, "Read **all** of"),
        ] as [(Int, String)])
    func `the conversation has the text, marks included, as far as its sound was played`(played: Int, heard: String) async throws {
        let port = try await UpstreamDouble.shared("openai").port
        let place = try await Place([
            "upstreams.chat.kind": "openai", "upstreams.chat.urls": "http://127.0.0.1:\(port)/v1", "upstreams.chat.model": "test",
            "routes.chat.meta": "to=chat",
            "routes.chat.upstreams": "chat",
        ])
        let text = "Read **all** of [this page](https://example.com/a/b) now. Then *stop* at once, please."
        #expect(try await place.ask(text).audioBytes == 11 * Self.word)
        try await place.client.send(["type": "status", "state": "idle", "reply_to": "m1", "played_ms": .number(Double(played))])
        let question = "unlike any other \(played)"
        _ = try await place.ask(question, of: "chat", id: "m2")
        let request = try await UpstreamDouble.shared("openai").event { $0["event"] == "request" && $0["text"].string == question }
        let lines = request["conversation"].array ?? []
        let answer = try #require(lines.first { $0[0] == "assistant" }?[1].string)
        #expect(answer.hasPrefix(heard) && answer.count <= heard.count + 1)
        try await place.gateway.stop()
    }

    @Test(arguments: [
        ("नमस्ते, आप कैसे हैं। मैं ठीक हूँ, धन्यवाद।", 2), ("كيف حالك اليوم؟ أنا بخير، شكرا لك.", 2), ("آپ کیسے ہیں جناب۔ میں ٹھیک ہوں۔", 2),
        ("今日はとてもいい天気ですね。明日も晴れるでしょう。", 2), ("እንዴት ነህ ወዳጄ። ደህና ነኝ አመሰግናለሁ።", 2), ("It costs 3.50 at Dr. Smith's… Fine then.", 2),
    ])
    func `sentences end as their script says`(text: String, count: Int) async throws {
        let place = try await Place()
        #expect(try await place.ask(text).text == text)
        #expect(try place.spoken.count == count)
        try await place.gateway.stop()
    }
}

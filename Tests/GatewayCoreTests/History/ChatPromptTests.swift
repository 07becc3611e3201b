import GatewayCore
import Testing

/// The messages that a chat model is sent, whatever happened in the session before.
@Suite("The prompt of a chat model") struct ChatPromptTests {
    private func line(_ text: String, _ request: UInt64, isBrokenOff: Bool = false) -> ConversationLine {
        let speaker: History.Speaker = text.hasPrefix("A") ? .upstream : .client
        return ConversationLine(speaker, Array(text.utf8), request: RequestKey(number: request), isBrokenOff: isBrokenOff)
    }

    private func prompt(_ lines: [ConversationLine], _ question: String = "now", limit: Int = 100) -> [String] {
        let messages = ChatPrompt(lines, question: Array(question.utf8), limit: limit).messages
        #expect(messages.first?.speaker == .client && messages.last?.speaker == .client)
        for (one, next) in zip(messages, messages.dropFirst()) { #expect(one.speaker != next.speaker) }
        return messages.map { String(decoding: $0.text, as: UTF8.self) }
    }

    @Test func `takes turns as it was said`() {
        #expect(prompt([]) == ["now"])
        #expect(prompt([line("one", 1), line("A1", 1), line("two", 2), line("A2", 2)]) == ["one", "A1", "two", "A2", "now"])
    }

    @Test func `joins texts that were sent at once, and their answers`() {
        #expect(prompt([line("one", 1)]) == ["one\nnow"])
        #expect(prompt([line("one", 1), line("two", 2), line("A1", 1), line("A2", 2)]) == ["one\ntwo", "A1\nA2", "now"])
        #expect(prompt([line("one", 1), line("two", 2), line("A1", 1)]) == ["one\ntwo", "A1", "now"])
    }

    @Test func `joins the pieces of one request with blanks`() {
        #expect(prompt([line("good", 1), line("morning", 1), line("A1", 1), line("A2", 1)]) == ["good morning", "A1 A2", "now"])
    }

    @Test(arguments: 0...5)
    func `begins with the client wherever it is cut`(limit: Int) {
        let lines = [line("one", 1), line("A1", 1), line("two", 2), line("A2", 2)]
        let expected = [
            ["now"], ["now"], ["two", "A2", "now"], ["two", "A2", "now"], ["one", "A1", "two", "A2", "now"],
            ["one", "A1", "two", "A2", "now"],
        ]
        #expect(prompt(lines, limit: limit) == expected[limit])
    }

    @Test func `has a question that is asked again once`() {
        let broken = [line("one", 1), line("A1", 1), line("two", 2, isBrokenOff: true), line("A2 beg", 2)]
        #expect(prompt(broken, "two") == ["one", "A1", "two"])
        #expect(prompt(broken + [line("two", 3), line("A2", 3)]) == ["one", "A1", "two", "A2", "now"])
        // Another question follows: what was heard of the answer stays.
        #expect(prompt(broken, "go on") == ["one", "A1", "two", "A2 beg", "go on"])
        // Twice without waiting.
        #expect(prompt([line("now", 1)]) == ["now"])
    }
}

@Suite("The conversation behind a request") struct StandingTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// The conversation before a request that comes next.
    private func told(_ conversation: Conversation) -> [String] {
        conversation.session.history.conversation(before: RequestKey(number: 1000), lines: 100, bytes: 10_000).map {
            ($0.speaker == .client ? "user: " : "model: ") + String(decoding: $0.text, as: UTF8.self)
        }
    }

    private func answer(_ conversation: Conversation, _ key: RequestKey, _ text: String, finish: FinishReason? = nil) {
        _ = conversation.perform { session, _, effects in
            session.receive(
                UpstreamEvent(key, .text(bytes(text), final: true), isLast: true, epilogue: .init(finish: finish)), effects: &effects)
        }
    }

    private static let failure = UpstreamEvent.Content.failure(.upstreamFailed, retryAfterMilliseconds: nil, isRetryable: true)

    @Test func `one that failed, or has an empty answer, leaves nothing`() throws {
        let conversation = Conversation()
        _ = conversation.receive(try conversation.begin("m1"), Self.failure, isLast: true)
        answer(conversation, try conversation.begin("m2"), "")
        #expect(told(conversation) == [])
        answer(conversation, try conversation.begin("m3"), "yes")
        #expect(told(conversation).last == "model: yes" && told(conversation).count == 2)
        #expect(conversation.session.history.count >= 4)
    }

    @Test func `one that a content filter objected to leaves nothing, also where its answer had begun`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .text(bytes("Well, "), final: false))
        answer(conversation, key, "", finish: .contentFilter)
        #expect(told(conversation) == [])
        let next = try conversation.begin("m2")
        answer(conversation, next, "cut", finish: .length)
        #expect(told(conversation).last == "model: cut")
    }

    @Test func `a text that was cancelled before its answer leaves nothing, one that was cancelled in it what was said`() throws {
        let conversation = Conversation()
        _ = try conversation.begin("m1")
        _ = conversation.send(#"{"type":"cancel","id":"m1"}"#)
        #expect(told(conversation) == [])
        let key = try conversation.begin("m2")
        _ = conversation.receive(key, .text(bytes("so far"), final: false))
        _ = conversation.send(#"{"type":"cancel","id":"m2"}"#)
        #expect(told(conversation).last == "model: so far" && told(conversation).count == 2)
    }

    @Test func `speech that was cancelled before its answer stays, for people go on speaking`() throws {
        let conversation = Conversation()
        let key = try conversation.open("u1")
        _ = conversation.send(binary: [1, 2])
        _ = conversation.receive(
            key, .transcript(bytes("the weather"), final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil))
        _ = conversation.send(#"{"type":"cancel","id":"u1"}"#)
        #expect(told(conversation) == ["user: the weather"])
    }

    @Test func `an answer that is only heard is part of the conversation, and isn't sent`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        let format = AudioFormat(codec: .pcm16, rate: 8000, channels: 1)
        #expect(conversation.receive(key, .unsentText(bytes("only "))).sequenced.isEmpty)
        _ = conversation.receive(key, .audio(format))
        _ = conversation.receive(key, .audioChunk([0, 0]))
        #expect(conversation.receive(key, .unsentText(bytes("heard"))).sequenced.isEmpty)
        _ = conversation.receive(key, .audioEnd(format), isLast: true)
        #expect(told(conversation).last == "model: only heard")
    }

    @Test func `one whose answer broke off is known as such`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .text(bytes("half"), final: false))
        _ = conversation.receive(key, Self.failure, isLast: true)
        let lines = conversation.session.history.conversation(before: RequestKey(number: 1000), lines: 100, bytes: 10_000)
        #expect(lines.count == 2 && lines.first?.isBrokenOff == true)
    }

    @Test func `the last message says why the answer ended`() throws {
        let conversation = Conversation()
        for (reason, told) in [(nil, "stop"), (.length, "length"), (.contentFilter, "content_filter"), (.toolCalls, "tool_calls")]
            as [(FinishReason?, String)]
        {
            let key = try conversation.begin("m-\(told)")
            let outcome = conversation.perform { session, _, effects in
                session.receive(
                    UpstreamEvent(key, .text(bytes("x"), final: true), isLast: true, epilogue: .init(finish: reason)), effects: &effects)
            }
            #expect(outcome.sequenced.last?["finish"] as? String == told)
        }
        let failed = conversation.receive(try conversation.begin("m9"), Self.failure, isLast: true)
        #expect(failed.sequenced.last?["finish"] as? String == "error")
    }

    @Test func `a model that thinks tells how far it is`() throws {
        let conversation = Conversation()
        let outcome = conversation.receive(try conversation.begin("m1"), .status("thinking", progress: nil, bytes: 70))
        #expect(outcome.sequenced.last?.text.hasSuffix(#""state":"thinking","bytes":70}"#) == true)
    }
}

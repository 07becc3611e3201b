// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// The messages that are sent to a chat model, whatever happened in the session before.
@Suite("The prompt of a chat model") struct ChatPromptTests {
    private func line(_ text: String, _ request: UInt64, isIncomplete: Bool = false) -> ConversationLine {
        let speaker: History.Speaker = text.hasPrefix("A") ? .upstream : .client
        return ConversationLine(speaker, Array(text.utf8), request: RequestKey(number: request), isIncomplete: isIncomplete)
    }

    private func prompt(_ lines: [ConversationLine], _ question: String = "now", limit: Int = 100) -> [String] {
        let messages = ChatPrompt(lines, question: Array(question.utf8), limit: limit).messages
        #expect(messages.first?.speaker == .client && messages.last?.speaker == .client)
        for (one, next) in zip(messages, messages.dropFirst()) { #expect(one.speaker != next.speaker) }
        return messages.map { String(decoding: $0.text, as: UTF8.self) }
    }

    @Test func `user and assistant alternate as in the conversation`() {
        #expect(prompt([]) == ["now"])
        #expect(prompt([line("one", 1), line("A1", 1), line("two", 2), line("A2", 2)]) == ["one", "A1", "two", "A2", "now"])
    }

    @Test func `texts that were sent at once are joined, and so are their responses`() {
        #expect(prompt([line("one", 1)]) == ["one\nnow"])
        #expect(prompt([line("one", 1), line("two", 2), line("A1", 1), line("A2", 2)]) == ["one\ntwo", "A1\nA2", "now"])
        #expect(prompt([line("one", 1), line("two", 2), line("A1", 1)]) == ["one\ntwo", "A1", "now"])
    }

    @Test func `the parts of one request are joined with spaces`() {
        #expect(prompt([line("good", 1), line("morning", 1), line("A1", 1), line("A2", 1)]) == ["good morning", "A1 A2", "now"])
    }

    @Test(arguments: 0...5)
    func `the prompt begins with the client wherever the line limit cuts the conversation`(limit: Int) {
        let lines = [line("one", 1), line("A1", 1), line("two", 2), line("A2", 2)]
        let expected = [
            ["now"], ["now"], ["two", "A2", "now"], ["two", "A2", "now"], ["one", "A1", "two", "A2", "now"],
            ["one", "A1", "two", "A2", "now"],
        ]
        #expect(prompt(lines, limit: limit) == expected[limit])
    }

    @Test func `a repeated question is included once`() {
        let broken = [line("one", 1), line("A1", 1), line("two", 2, isIncomplete: true), line("A2 beg", 2)]
        #expect(prompt(broken, "two") == ["one", "A1", "two"])
        #expect(prompt(broken + [line("two", 3), line("A2", 3)]) == ["one", "A1", "two", "A2", "now"])
        // A different question follows: the partial response stays.
        #expect(prompt(broken, "go on") == ["one", "A1", "two", "A2 beg", "go on"])
        // Sent twice without waiting for the response.
        #expect(prompt([line("now", 1)]) == ["now"])
    }
}

@Suite("The conversation before a request") struct InclusionTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// The conversation before the next request.
    private func turns(_ conversation: Conversation) -> [String] {
        conversation.session.history.conversation(before: RequestKey(number: 1000), lines: 100, bytes: 10_000).map {
            ($0.speaker == .client ? "user: " : "model: ") + String(decoding: $0.text, as: UTF8.self)
        }
    }

    private func respond(_ conversation: Conversation, _ key: RequestKey, _ text: String, finish: FinishReason? = nil) {
        _ = conversation.perform { session, _, effects in
            session.receive(
                UpstreamEvent(key, .text(bytes(text), final: true), isLast: true, epilogue: .init(finish: finish)), effects: &effects)
        }
    }

    private static let failure = UpstreamEvent.Content.failure(.upstreamFailed, retryAfterMilliseconds: nil, isRetryable: true)

    @Test func `a request that fails or has an empty response isn't included`() throws {
        let conversation = Conversation()
        _ = conversation.receive(try conversation.begin("m1"), Self.failure, isLast: true)
        respond(conversation, try conversation.begin("m2"), "")
        #expect(turns(conversation) == [])
        respond(conversation, try conversation.begin("m3"), "yes")
        #expect(turns(conversation).last == "model: yes" && turns(conversation).count == 2)
        #expect(conversation.session.history.count >= 4)
    }

    @Test func `a request blocked by a content filter isn't included, even if its response had begun`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .text(bytes("Well, "), final: false))
        respond(conversation, key, "", finish: .contentFilter)
        #expect(turns(conversation) == [])
        let next = try conversation.begin("m2")
        respond(conversation, next, "cut", finish: .length)
        #expect(turns(conversation).last == "model: cut")
    }

    @Test func `a text cancelled before its response isn't included; cancelled later, its partial response is`() throws {
        let conversation = Conversation()
        _ = try conversation.begin("m1")
        _ = conversation.send(#"{"type":"cancel","id":"m1"}"#)
        #expect(turns(conversation) == [])
        let key = try conversation.begin("m2")
        _ = conversation.receive(key, .text(bytes("so far"), final: false))
        _ = conversation.send(#"{"type":"cancel","id":"m2"}"#)
        #expect(turns(conversation).last == "model: so far" && turns(conversation).count == 2)
    }

    @Test func `speech cancelled before its response is included, because users keep speaking`() throws {
        let conversation = Conversation()
        let key = try conversation.open("u1")
        _ = conversation.send(binary: [1, 2])
        _ = conversation.receive(
            key, .transcript(bytes("the weather"), final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil))
        _ = conversation.send(#"{"type":"cancel","id":"u1"}"#)
        #expect(turns(conversation) == ["user: the weather"])
    }

    @Test func `the text of an audio-only response is included, but isn't sent`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        let format = AudioFormat(codec: .pcm16, rate: 8000, channels: 1)
        #expect(conversation.receive(key, .unsentText(bytes("only "))).sequenced.isEmpty)
        _ = conversation.receive(key, .audio(format))
        _ = conversation.receive(key, .audioChunk([0, 0]))
        #expect(conversation.receive(key, .unsentText(bytes("heard"))).sequenced.isEmpty)
        _ = conversation.receive(key, .audioEnd(format), isLast: true)
        #expect(turns(conversation).last == "model: only heard")
    }

    @Test func `a request whose response broke off is marked`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .text(bytes("half"), final: false))
        _ = conversation.receive(key, Self.failure, isLast: true)
        let lines = conversation.session.history.conversation(before: RequestKey(number: 1000), lines: 100, bytes: 10_000)
        #expect(lines.count == 2 && lines.first?.isIncomplete == true)
    }

    @Test func `the last message has the finish reason`() throws {
        let conversation = Conversation()
        for (reason, name) in [(nil, "stop"), (.length, "length"), (.contentFilter, "content_filter"), (.toolCalls, "tool_calls")]
            as [(FinishReason?, String)]
        {
            let key = try conversation.begin("m-\(name)")
            let outcome = conversation.perform { session, _, effects in
                session.receive(
                    UpstreamEvent(key, .text(bytes("x"), final: true), isLast: true, epilogue: .init(finish: reason)), effects: &effects)
            }
            #expect(outcome.sequenced.last?["finish"] as? String == name)
        }
        let failed = conversation.receive(try conversation.begin("m9"), Self.failure, isLast: true)
        #expect(failed.sequenced.last?["finish"] as? String == "error")
    }

    @Test func `a thinking model reports its progress in bytes`() throws {
        let conversation = Conversation()
        let outcome = conversation.receive(try conversation.begin("m1"), .status("thinking", progress: nil, bytes: 70))
        #expect(outcome.sequenced.last?.text.hasSuffix(#""state":"thinking","bytes":70}"#) == true)
    }
}

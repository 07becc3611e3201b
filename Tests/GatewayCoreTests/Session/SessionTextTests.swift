// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionTextTests {
    @Test func `a text is acknowledged and sent to the upstream`() throws {
        let conversation = Conversation()
        let outcome = conversation.send(#"{"type":"text","id":"m1","text":"hello"}"#)
        #expect(outcome.texts == [#"{"type":"ack","id":"m1"}"#])
        #expect(outcome.replies.allSatisfy { $0.mayCompress })
        let request = try started(outcome)
        guard case .text(let text) = request.input else { throw NotStarted(replies: []) }
        #expect(text == Array("hello".utf8))
        #expect(request.stream && request.lang == nil && request.meta.isEmpty)
        #expect(request.output.text && !request.output.audio)
    }

    @Test func `all fields of a text reach the upstream`() throws {
        let outcome = Conversation().send(
            #"{"type":"text","id":"m1","text":"hallo","lang":"de-AT","stream":false,"meta":{"a":"1","b.c":"zwei"},"#
                + #""output":{"modalities":["audio"],"format":{"codec":"opus","rate":48000,"channels":2},"voice":"anna"}}"#)
        let request = try started(outcome)
        #expect(text(request.lang) == "de-AT")
        #expect(!request.stream)
        #expect(text(request.meta("a")) == "1" && text(request.meta("b.c")) == "zwei" && request.meta("c") == nil)
        #expect(!request.output.text && request.output.audio)
        #expect(request.output.format == AudioFormat(codec: .opus, rate: 48_000, channels: 2))
        #expect(text(request.output.voice) == "anna")
    }

    @Test func `every string of a client is sanitized before it is stored or forwarded`() throws {
        let conversation = Conversation()
        let outcome = conversation.send(
            #"{"type":"text","id":"m1","text":"a\u0000b\tc\n\u001b[31md\u007f\u0085e","meta":{"k":"v\u0007w"},"output":{"voice":"x\u0001"}}"#
        )
        let request = try started(outcome)
        guard case .text(let sent) = request.input else { throw NotStarted(replies: []) }
        #expect(String(decoding: sent, as: UTF8.self) == "ab\tc\n[31mde")
        #expect(text(request.meta("k")) == "vw")
        #expect(text(request.output.voice) == "x")
        #expect(conversation.session.history.count == 1)
        let stored = conversation.session.history.withText(at: 0) { span, _ in (0..<span.byteCount).map { span.byte(at: $0) } }
        #expect(stored == sent)
    }

    @Test func `a text of only control characters is rejected as empty`() {
        let outcome = Conversation().send(#"{"type":"text","id":"m1","text":"\u0000\u0007"}"#)
        #expect(outcome.errors == ["invalid_message"])
        #expect(outcome.error?["param"] as? String == "/text")
    }

    @Test(arguments: [(100_000, true), (100_001, false)])
    func `a text has at most 100 KB after sanitizing`(count: Int, isAccepted: Bool) {
        let conversation = Conversation()
        let text = String(repeating: "x", count: count) + #"\u0000"#
        let outcome = conversation.send(#"{"type":"text","id":"m1","text":"\#(text)"}"#)
        #expect(outcome.commands.isEmpty == !isAccepted)
        #expect(outcome.errors == (isAccepted ? [] : ["message_too_large"]))
        #expect(outcome.closing == nil)
        #expect(conversation.send(#"{"type":"text","id":"m2","text":"next"}"#).commands.count == 1)
    }

    @Test func `a message over max_bytes is rejected, and the session continues`() {
        var policy = SessionPolicy()
        policy.rules = ValidationRules(maxBytes: 100)
        let conversation = Conversation(policy)
        let frame = #"{"type":"text","id":"m1","text":""}"#.utf8.count
        let fits = conversation.send(#"{"type":"text","id":"m1","text":"\#(String(repeating: "x", count: 100 - frame))"}"#)
        #expect(fits.commands.count == 1)
        let over = conversation.send(#"{"type":"text","id":"m2","text":"\#(String(repeating: "x", count: 101 - frame))"}"#)
        #expect(over.errors == ["message_too_large"])
        #expect(over.error?["reply_to"] as? String == "m2")
        #expect(over.closing == nil)
        #expect(conversation.send(#"{"type":"text","id":"m2","text":"y"}"#).commands.count == 1)
    }

    @Test func `a repeated text is acknowledged and forwarded once`() {
        let conversation = Conversation()
        _ = conversation.send(#"{"type":"text","id":"m1","text":"hello"}"#)
        let again = conversation.send(#"{"type":"text","id":"m1","text":"other words"}"#)
        #expect(again.texts == [#"{"type":"ack","id":"m1","duplicate":true}"#])
        #expect(again.commands.isEmpty && again.incidents.isEmpty)
        #expect(conversation.session.history.count == 1)
    }

    @Test func `an id that belongs to an audio message is rejected for a text`() throws {
        let conversation = Conversation()
        try conversation.open("x1")
        let outcome = conversation.send(#"{"type":"text","id":"x1","text":"hello"}"#)
        #expect(outcome.errors == ["duplicate_id"])
        #expect(outcome.error?["param"] as? String == "/id")
        #expect(outcome.error?["reply_to"] as? String == "x1")
        #expect(outcome.commands.isEmpty)
        // The stream isn't affected.
        #expect(conversation.send(binary: [0, 0]).commands.map(\.summary) == ["audio 1 2"])
    }

    @Test func `the id of a rejected message can be used again`() {
        let conversation = Conversation()
        #expect(conversation.send(#"{"type":"text","id":"m1","text":""}"#).errors == ["invalid_message"])
        #expect(conversation.send(#"{"type":"text","id":"m1","text":"hello"}"#).commands.map(\.summary) == ["start m1"])
    }

    @Test func `an id can be reused after duplicate_ids newer ids were accepted`() {
        var policy = SessionPolicy()
        policy.duplicateIDs = 3
        let conversation = Conversation(policy)
        for id in ["a", "b", "c"] { _ = conversation.send(#"{"type":"text","id":"\#(id)","text":"x"}"#) }
        #expect(conversation.send(#"{"type":"text","id":"a","text":"x"}"#).commands.isEmpty)
        _ = conversation.send(#"{"type":"text","id":"d","text":"x"}"#)
        #expect(conversation.send(#"{"type":"text","id":"b","text":"x"}"#).commands.isEmpty)
        #expect(conversation.send(#"{"type":"text","id":"a","text":"x"}"#).commands.count == 1)
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionUpstreamTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func `deltas are sequenced and the last one is done`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        #expect(
            conversation.receive(key, .text(bytes("a \"b\" "), final: false)).sequenced.map(\.text) == [
                #"{"type":"text","seq":1,"reply_to":"m1","text":"a \"b\" ","final":false}"#
            ])
        #expect(
            conversation.receive(key, .text(bytes("ü"), final: true), isLast: true).sequenced.map(\.text) == [
                #"{"type":"text","seq":2,"reply_to":"m1","text":"ü","final":true,"done":true}"#
            ])
        #expect(conversation.session.inFlight.isEmpty)
        #expect(conversation.receive(key, .text(bytes("more"), final: true), isLast: true).isEmpty)
    }

    @Test func `a transcript contains the upstream's confidence and times`() throws {
        let conversation = Conversation()
        let key = try conversation.open("u1")
        let partial = UpstreamEvent.Content.transcript(
            bytes("good"), final: false, confidence: nil, startMilliseconds: nil, endMilliseconds: nil)
        #expect(
            conversation.receive(key, partial).sequenced.map(\.text) == [
                #"{"type":"transcript","seq":1,"reply_to":"u1","text":"good","final":false}"#
            ])
        let final = UpstreamEvent.Content.transcript(
            bytes("good day"), final: true, confidence: 0.75, startMilliseconds: 10, endMilliseconds: 900)
        #expect(
            conversation.receive(key, final, isLast: true).sequenced.map(\.text) == [
                #"{"type":"transcript","seq":2,"reply_to":"u1","text":"good day","final":true,"confidence":0.75,"start_ms":10,"end_ms":900,"#
                    + #""done":true}"#
            ])
        // The final transcript is recorded as the client's text.
        #expect(conversation.session.history.count == 1)
        #expect(conversation.session.history.withText(at: 0) { $1.speaker } == .client)
    }

    @Test func `audio is sent as an opening message, frames and a final message`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        let format = AudioFormat(codec: .oggOpus, rate: 24_000, channels: 2)
        let json = #""reply_to":"m1","format":{"codec":"ogg_opus","rate":24000,"channels":2}"#
        #expect(conversation.receive(key, .audio(format)).sequenced.map(\.text) == [#"{"type":"audio","seq":1,\#(json)}"#])
        let frame = conversation.receive(key, .audioChunk([1, 2, 3])).sequenced
        #expect(frame.map(\.bytes) == [[1, 2, 3]] && frame.map(\.isBinary) == [true])
        #expect(
            conversation.receive(key, .audioEnd(format), isLast: true).sequenced.map(\.text) == [
                #"{"type":"audio","seq":3,\#(json),"final":true,"done":true}"#
            ])
    }

    @Test func `a status has the state, and the progress clamped to its bounds`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        for (progress, text) in [(nil, ""), (0.5, #","progress":0.5"#), (-1, #","progress":0"#), (7, #","progress":1"#)]
            as [(Double?, String)]
        {
            let outcome = conversation.receive(key, .status("thinking", progress: progress))
            #expect(outcome.sequenced[0].text.hasSuffix(#""reply_to":"m1","state":"thinking"\#(text)}"#))
        }
    }

    @Test(arguments: [[0xFF], [0x61, 0xC3], [0xED, 0xA0, 0x80]] as [[UInt8]])
    func `invalid UTF-8 is replaced by an error, and the stream continues`(wrong: [UInt8]) throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        let outcome = conversation.receive(key, .text(wrong, final: false))
        #expect(outcome.sequenced.isEmpty && outcome.errors == ["upstream_error"] && outcome.error?["reply_to"] as? String == "m1")
        #expect(outcome.incidents.map(\.source) == [.upstream])
        #expect(outcome.error?["correlation_id"] as? String == outcome.incidents.first.map { "\($0.correlationID)" })
        let next = conversation.receive(key, .text(bytes("x"), final: true), isLast: true)
        #expect(next.sequenced.first?["seq"] as? Int == 1 && next.sequenced.first?["text"] as? String == "x")

        let other = try conversation.begin("m2")
        let content = UpstreamEvent.Content.transcript(wrong, final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil)
        let last = try #require(conversation.receive(other, content, isLast: true).sequenced.first)
        #expect(last.error?["code"] as? String == "upstream_error" && last["done"] as? Bool == true && last["seq"] as? Int == 2)
        #expect(conversation.session.inFlight.isEmpty)
    }

    @Test func `an audio request that ends with invalid UTF-8 leaves no stream open`() throws {
        let conversation = Conversation()
        let key = try conversation.open("u1")
        let content = UpstreamEvent.Content.transcript([0xFF], final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil)
        #expect(conversation.receive(key, content, isLast: true).sequenced.first?.error?["code"] as? String == "upstream_error")
        try conversation.open("u2")
    }

    @Test func `a number that JSON can't represent is omitted`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        for wrong in [Double.nan, .infinity, -.infinity] {
            let status = conversation.receive(key, .status("thinking", progress: wrong)).sequenced[0]
            #expect(status["state"] as? String == "thinking" && status["progress"] == nil)
            let content = UpstreamEvent.Content.transcript(
                bytes("x"), final: false, confidence: wrong, startMilliseconds: nil, endMilliseconds: nil)
            let transcript = conversation.receive(key, content).sequenced[0]
            #expect(transcript["text"] as? String == "x" && transcript["confidence"] == nil)
        }
    }

    @Test func `a failure is sequenced and ends the request`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        let outcome = conversation.receive(key, .failure(.responseTimeout, retryAfterMilliseconds: 500))
        let message = try #require(outcome.sequenced.first)
        #expect(message["seq"] as? Int == 1 && message["done"] as? Bool == true)
        #expect(message.error?["code"] as? String == "upstream_timeout" && message.error?["reply_to"] as? String == "m1")
        #expect(message.error?["retry_after_ms"] as? Int == 500 && message.error?["fatal"] as? Bool == false)
        #expect(outcome.incidents.map(\.source) == [.upstream])
        #expect(conversation.session.inFlight.isEmpty && outcome.closing == nil)
    }

    @Test func `two requests are in flight at the same time`() throws {
        let conversation = Conversation()
        let one = try conversation.begin("m1")
        let two = try conversation.begin("m2")
        var messages: [Conversation.Message] = []
        messages += conversation.receive(two, .text(bytes("2"), final: true), isLast: true).sequenced
        messages += conversation.receive(one, .text(bytes("1"), final: true), isLast: true).sequenced
        #expect(messages.map { $0["reply_to"] as? String } == ["m2", "m1"])
        #expect(messages.map { $0["seq"] as? Int } == [1, 2])
    }

    @Test func `an event for an unknown request is dropped`() {
        #expect(Conversation().receive(RequestKey(number: 99), .text([], final: true), isLast: true).isEmpty)
    }

    @Test func `a streamed response becomes one history entry`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1", text: "question")
        for word in ["an ", "answer ", "in "] { _ = conversation.receive(key, .text(bytes(word), final: false)) }
        _ = conversation.receive(key, .text(bytes("words"), final: true), isLast: true)
        #expect(history(conversation) == ["question", "an answer in words"])
    }

    @Test func `a response too long for the history keeps its beginning, without a gap`() throws {
        var policy = SessionPolicy()
        policy.historyBytes = 10
        let conversation = Conversation(policy)
        let key = try conversation.begin("m1", text: "q")
        for piece in ["12345", "too long for it", "678"] { _ = conversation.receive(key, .text(bytes(piece), final: false)) }
        _ = conversation.receive(key, .text(bytes("9"), final: true), isLast: true)
        #expect(history(conversation) == ["q", "12345"])
    }

    private func history(_ conversation: Conversation) -> [String] {
        (0..<conversation.session.history.count).map { index in
            conversation.session.history.withText(at: index) { span, _ in
                String(decoding: (0..<span.byteCount).map { span.byte(at: $0) }, as: UTF8.self)
            }
        }
    }

    @Test func `events are requested only while fewer than socket_queue_bytes wait for the socket`() throws {
        let conversation = Conversation()
        conversation.isSocketOpen = false
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .audioChunk([UInt8](repeating: 0, count: 99)))
        #expect(conversation.wantedEvents(socketQueueBytes: 100) == 64)
        _ = conversation.receive(key, .audioChunk([0]))
        #expect(conversation.wantedEvents(socketQueueBytes: 100) == 0)
        conversation.isSocketOpen = true
        _ = conversation.tick()
        #expect(conversation.wantedEvents(socketQueueBytes: 100) == 64)
    }

    @Test func `frames count as messages in the sequence numbers`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        for _ in 0..<3 { _ = conversation.receive(key, .audioChunk([0])) }
        let outcome = conversation.receive(key, .text([], final: true), isLast: true)
        #expect(outcome.sequenced[0]["seq"] as? Int == 4)
        #expect(conversation.session.outbox.count == 4)
        _ = conversation.send(#"{"type":"ack","seq":3}"#)
        #expect(conversation.session.outbox.count == 1)
    }
}

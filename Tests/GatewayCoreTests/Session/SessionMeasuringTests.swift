// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// The measurements and counters of a session: message types, limits, and the delays that a speaker notices.
@Suite struct SessionMeasuringTests {
    private static let format = AudioFormat(codec: .pcm16, rate: 8000, channels: 1)
    /// One second of audio in ``format``.
    private static let second = [UInt8](repeating: 1, count: 16_000)

    /// The single value of a histogram; nil if there are none or several.
    private func only(_ histogram: Histogram) -> UInt64? { histogram.count == 1 ? histogram.sum : nil }

    @Test func `the first text is measured from the request to its write, once`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        conversation.advance(milliseconds: 300)
        conversation.writeDelay = .milliseconds(20)
        _ = conversation.receive(key, .text(Array("one".utf8), final: false))
        #expect(only(conversation.metrics.voice.firstText) == 320_000_000)
        conversation.advance(milliseconds: 500)
        _ = conversation.receive(key, .text(Array("two".utf8), final: true), isLast: true)
        #expect(conversation.metrics.voice.firstText.count == 1)
        #expect(conversation.metrics.voice.firstAudio.count == 0)
    }

    @Test func `the first sound is measured from the end of the recording`() throws {
        let conversation = Conversation()
        let key = try conversation.open("u1", rate: 8000)
        conversation.advance(milliseconds: 1000)
        _ = conversation.send(binary: Self.second)
        _ = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        conversation.advance(milliseconds: 400)
        let words = Array("hello".utf8)
        _ = conversation.receive(key, .transcript(words, final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil))
        #expect(conversation.metrics.voice.firstText.count == 0)
        _ = conversation.receive(key, .audio(Self.format))
        #expect(conversation.metrics.voice.firstAudio.count == 0)
        conversation.advance(milliseconds: 100)
        _ = conversation.receive(key, .audioChunk(Self.second))
        #expect(only(conversation.metrics.voice.firstAudio) == 500_000_000)
        _ = conversation.receive(key, .audioChunk(Self.second))
        #expect(conversation.metrics.voice.firstAudio.count == 1)
        #expect(conversation.metrics.voice.inNanoseconds == 1_000_000_000)
        #expect(conversation.metrics.voice.outNanoseconds == 2_000_000_000)
    }

    @Test func `a response that begins before the end of speech has no delay`() throws {
        let conversation = Conversation()
        let key = try conversation.open("u1", rate: 8000)
        _ = conversation.send(binary: Self.second)
        _ = conversation.receive(key, .audio(Self.format))
        _ = conversation.receive(key, .audioChunk(Self.second))
        #expect(conversation.metrics.voice.firstAudio.count == 0)
    }

    @Test func `a full socket delays the first text, and a detached session doesn't measure it`() throws {
        let conversation = Conversation()
        conversation.isSocketOpen = false
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .text(Array("one".utf8), final: false))
        #expect(conversation.metrics.voice.firstText.count == 0)
        conversation.advance(milliseconds: 700)
        conversation.isSocketOpen = true
        _ = conversation.tick()
        #expect(only(conversation.metrics.voice.firstText) == 700_000_000)

        conversation.isSocketOpen = false
        let second = try conversation.begin("m2")
        _ = conversation.receive(second, .text(Array("one".utf8), final: false))
        conversation.detach()
        conversation.isSocketOpen = true
        _ = conversation.resume(after: nil)
        #expect(conversation.metrics.voice.firstText.count == 1)
    }

    @Test func `a cancel is measured to the write of its confirmation`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        conversation.isSocketOpen = false
        _ = conversation.receive(key, .text(Array("one".utf8), final: false))
        _ = conversation.send(#"{"type":"cancel","id":"m1"}"#)
        conversation.advance(milliseconds: 40)
        conversation.isSocketOpen = true
        _ = conversation.tick()
        #expect(only(conversation.metrics.voice.cancellation) == 40_000_000)
        // The text of the cancelled request was dropped.
        #expect(conversation.metrics.voice.firstText.count == 0)
    }

    @Test(arguments: [(0, UInt64(0)), (500, 250_000), (2000, 1_000_000), (9000, 1_000_000)])
    func `the heard ratio of a cancelled response is the played share of its audio`(played: Int, ratio: UInt64) throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .audio(Self.format))
        for _ in 0..<2 { _ = conversation.receive(key, .audioChunk(Self.second)) }
        _ = conversation.send(#"{"type":"cancel","id":"m1","played_ms":\#(played)}"#)
        #expect(only(conversation.metrics.voice.heardRatio) == ratio)
    }

    @Test func `the heard ratio of a complete response is recorded by the first final report`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .audio(Self.format))
        _ = conversation.receive(key, .audioChunk(Self.second))
        _ = conversation.receive(key, .audioEnd(Self.format), isLast: true)
        _ = conversation.send(#"{"type":"status","state":"playing","reply_to":"m1","played_ms":100}"#)
        #expect(conversation.metrics.voice.heardRatio.count == 0)
        _ = conversation.send(#"{"type":"status","state":"idle","reply_to":"m1","played_ms":900}"#)
        #expect(only(conversation.metrics.voice.heardRatio) == 900_000)
        _ = conversation.send(#"{"type":"status","state":"idle","reply_to":"m1","played_ms":950}"#)
        #expect(conversation.metrics.voice.heardRatio.count == 1)
    }

    @Test(arguments: [3, 4, 5]) func `the playback of the last four responses can be reported`(later: Int) throws {
        let conversation = Conversation()
        for number in 0...later {
            let key = try conversation.begin("m\(number)")
            _ = conversation.receive(key, .audio(Self.format))
            _ = conversation.receive(key, .audioChunk(Self.second), isLast: true)
        }
        _ = conversation.send(#"{"type":"status","state":"idle","reply_to":"m0","played_ms":900}"#)
        #expect(conversation.metrics.voice.heardRatio.count == (later < 4 ? 1 : 0))
    }

    @Test func `received messages are counted by type`() throws {
        let conversation = Conversation()
        try conversation.begin("m1")
        try conversation.open("u1")
        for message in [#"{"type":"ping"}"#, #"{"type":"status"}"#, #"{"type":"ack","seq":0}"#, #"{"type":"cancel","id":"x"}"#, "{", "[]"] {
            _ = conversation.send(message)
        }
        _ = conversation.send(binary: [0, 0])
        _ = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        _ = conversation.send(#"{"type":"bye"}"#)
        let counted = conversation.metrics.inbound.all.filter { $0.count > 0 }.map { "\($0.label.label) \($0.count)" }
        #expect(
            counted == ["text 1", "audio 2", "audio_chunk 1", "status 1", "cancel 1", "ack 1", "ping 1", "bye 1", "invalid 2"])
    }

    @Test func `a message over a limit is counted by the rule`() throws {
        var policy = SessionPolicy()
        policy.text = Rate(units: 60, per: .seconds(60), burst: 1)
        policy.rejections = Rate(units: 60, per: .seconds(60), burst: 1)
        let conversation = Conversation(policy)
        try conversation.begin("m1")
        for number in 2...3 { _ = conversation.send(#"{"type":"text","id":"m\#(number)","text":"x"}"#) }
        #expect(conversation.metrics.rateLimited[.text] == 2)
        #expect(conversation.metrics.rateLimited[.rejection] == 1)
        #expect(conversation.metrics.rateLimited.total == 3)
    }
}

import GatewayCore
import Testing

/// Protocol page, section "Audio": the order of things.
@Suite struct SessionAudioTests {
    private static let sample: [UInt8] = [0, 0]

    @Test func `a stream opens, takes chunks and ends`() throws {
        let conversation = Conversation()
        let opened = conversation.send(
            #"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":16000,"channels":1},"lang":"en","meta":{"k":"v"}}"#)
        #expect(opened.texts == [#"{"type":"ack","id":"u1","chunks":0}"#])
        let request = try started(opened)
        guard case .audio(let format) = request.input else { throw NotStarted(replies: []) }
        #expect(format == AudioFormat(codec: .pcm16, rate: 16_000, channels: 1))
        #expect(text(request.lang) == "en" && text(request.meta("k")) == "v")
        for _ in 0..<3 {
            let outcome = conversation.send(binary: [1, 2, 3, 4])
            #expect(outcome.replies.isEmpty)
            #expect(outcome.commands.map(\.summary) == ["audio 1 4"])
        }
        let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(ended.texts == [#"{"type":"ack","id":"u1","chunks":3}"#])
        #expect(ended.commands.map(\.summary) == ["end 1"])
        #expect(conversation.send(binary: Self.sample).errors == ["invalid_audio"])
    }

    @Test func `a recording in one message is a stream of one chunk`() {
        let conversation = Conversation()
        let outcome = conversation.send(Conversation.recording("u1", bytes: 800))
        #expect(outcome.texts == [#"{"type":"ack","id":"u1","chunks":1}"#])
        #expect(outcome.commands.map(\.summary) == ["start u1", "audio 1 800", "end 1"])
        #expect(conversation.send(binary: [1]).errors == ["invalid_audio"])
    }

    @Test func `a frame without a stream is invalid audio`() {
        let outcome = Conversation().send(binary: Self.sample)
        #expect(outcome.errors == ["invalid_audio"])
        #expect(outcome.error?["reply_to"] == nil && outcome.error?["chunk"] == nil)
    }

    @Test func `one stream is open at a time, and a second one makes the first wait`() throws {
        let conversation = Conversation()
        try conversation.open("u1")
        _ = conversation.send(binary: Self.sample)
        let second = conversation.send(Conversation.opening("u2"))
        #expect(second.errors == ["invalid_audio"])
        #expect(second.error?["reply_to"] as? String == "u2" && second.error?["param"] as? String == "/id")
        // Meant for the refused stream, and ignored without an error.
        #expect(conversation.send(binary: Self.sample).isEmpty)
        let resumed = conversation.send(#"{"type":"audio","id":"u1","from":2}"#)
        #expect(resumed.texts == [#"{"type":"ack","id":"u1","chunks":1}"#])
        #expect(conversation.send(binary: Self.sample).commands.map(\.summary) == ["audio 1 2"])
    }

    @Test func `chunks are acknowledged every 64 and every second`() throws {
        let conversation = Conversation()
        try conversation.open("u1")
        for _ in 1...63 { #expect(conversation.send(binary: Self.sample).replies.isEmpty) }
        #expect(conversation.send(binary: Self.sample).texts == [#"{"type":"ack","id":"u1","chunks":64}"#])
        conversation.advance(milliseconds: 999)
        #expect(conversation.send(binary: Self.sample).replies.isEmpty)
        conversation.advance(milliseconds: 1)
        #expect(conversation.send(binary: Self.sample).texts == [#"{"type":"ack","id":"u1","chunks":66}"#])
    }

    @Test func `a pause doesn't hold an ack back`() throws {
        let conversation = Conversation()
        try conversation.open("u1")
        #expect(conversation.tick().isEmpty)
        _ = conversation.send(binary: Self.sample)
        conversation.advance(milliseconds: 999)
        #expect(conversation.tick().isEmpty)
        conversation.advance(milliseconds: 1)
        #expect(conversation.tick().texts == [#"{"type":"ack","id":"u1","chunks":1}"#])
        #expect(conversation.tick().isEmpty)
    }

    @Test(
        arguments: [
            ([0, 0, 0], "pcm16", 1, "invalid_audio"), ([0, 0], "pcm16", 2, "invalid_audio"), ([0], "mulaw", 2, "invalid_audio"),
            ([], "pcm16", 1, "invalid_audio"), ([], "opus", 1, "invalid_audio"), ([3], "opus", 1, "invalid_audio"),
        ] as [([UInt8], String, Int, String)])
    func `a bad chunk is refused by its number, and frames are ignored until from`(
        chunk: [UInt8], codec: String, channels: Int, code: String
    ) throws {
        let conversation = Conversation()
        try conversation.open("u1", codec: codec, rate: 48_000, channels: channels)
        let good: [UInt8] = [0, 0, 0, 0]
        #expect(conversation.send(binary: good).commands.count == 1)
        let refused = conversation.send(binary: chunk)
        #expect(refused.errors == [code])
        #expect(refused.error?["reply_to"] as? String == "u1")
        #expect(refused.error?["chunk"] as? Int == 2)
        #expect(refused.commands.isEmpty)
        #expect(conversation.send(binary: good).isEmpty)
        for wrong in [1, 3] {
            let error = conversation.send(#"{"type":"audio","id":"u1","from":\#(wrong)}"#)
            #expect(error.errors == ["invalid_audio"])
            #expect(error.error?["param"] as? String == "/from")
        }
        #expect(conversation.send(binary: good).isEmpty)
        #expect(conversation.send(#"{"type":"audio","id":"u1","from":2}"#).texts == [#"{"type":"ack","id":"u1","chunks":1}"#])
        #expect(conversation.send(binary: good).commands.map(\.summary) == ["audio 1 4"])
        #expect(conversation.send(#"{"type":"audio","id":"u1","final":true}"#).texts == [#"{"type":"ack","id":"u1","chunks":2}"#])
    }

    @Test(arguments: [(1_000_000, true), (1_000_002, false)])
    func `a chunk has at most 1 MB`(count: Int, isAccepted: Bool) throws {
        let conversation = Conversation()
        try conversation.open("u1")
        let outcome = conversation.send(binary: [UInt8](repeating: 0, count: count))
        #expect(outcome.errors == (isAccepted ? [] : ["audio_too_large"]))
        #expect(outcome.commands.isEmpty != isAccepted)
        #expect(outcome.error?["chunk"] as? Int == (isAccepted ? nil : 1))
    }

    @Test(arguments: [(1_000_000, true), (1_000_001, false)])
    func `a recording has at most 1 MB after decoding`(count: Int, isAccepted: Bool) {
        let outcome = Conversation().send(Conversation.recording("u1", bytes: count))
        #expect(outcome.errors == (isAccepted ? [] : ["audio_too_large"]))
        #expect(outcome.commands.isEmpty != isAccepted)
    }

    @Test func `a recording that is no Opus packet is refused`() {
        let outcome = Conversation().send(
            #"{"type":"audio","id":"u1","format":{"codec":"opus","rate":48000,"channels":1},"data":"Aw==","final":true}"#)
        #expect(outcome.errors == ["invalid_audio"])
        #expect(outcome.error?["param"] as? String == "/data")
    }

    @Test(
        arguments: [
            #"{"type":"audio","id":"u1","format":{"codec":"mp3","rate":16000,"channels":1}}"#,
            #"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":7999,"channels":1}}"#,
            #"{"type":"audio","id":"u1","format":{"codec":"pcm16","rate":16000,"channels":3}}"#,
            #"{"type":"audio","id":"u1","format":{"codec":"pcm16","codec":"pcm16","rate":16000,"channels":1}}"#,
            #"{"type":"audio","id":"no id","format":{"codec":"pcm16","rate":16000,"channels":1}}"#,
            #"{"type":"audio","id":"u1"}"#,
        ])
    func `frames and the end of a refused opening are ignored`(opening: String) {
        let conversation = Conversation()
        #expect(conversation.send(opening).errors.count == 1)
        for _ in 0..<100 { #expect(conversation.send(binary: [0]).isEmpty) }
        #expect(conversation.send(#"{"type":"audio","id":"u1","from":1}"#).isEmpty)
        #expect(conversation.send(#"{"type":"audio","id":"u1","final":true}"#).isEmpty)
        // The next audio message is judged again, and a frame without a stream is an error again.
        #expect(conversation.send(binary: [0]).errors == ["invalid_audio"])
        #expect(conversation.send(Conversation.opening("u1")).commands.map(\.summary) == ["start u1"])
    }

    @Test func `frames behind a refused opening are ignored until the next audio message`() {
        let conversation = Conversation()
        #expect(conversation.send(#"{"type":"audio","id":"u1","format":7}"#).errors.count == 1)
        #expect(conversation.send(binary: [0]).isEmpty)
        #expect(conversation.send(#"{"type":"text","id":"m1","text":"meanwhile"}"#).errors.isEmpty)
        #expect(conversation.send(binary: [0]).isEmpty)
        #expect(conversation.send(Conversation.recording("u2", bytes: 8)).errors.isEmpty)
        #expect(conversation.send(binary: [0]).errors == ["invalid_audio"])
    }

    @Test func `a repeated opening is acknowledged and its frames are ignored`() throws {
        let conversation = Conversation()
        try conversation.open("u1")
        _ = conversation.send(binary: Self.sample)
        _ = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        let again = conversation.send(Conversation.opening("u1"))
        #expect(again.texts == [#"{"type":"ack","id":"u1","duplicate":true}"#])
        #expect(again.commands.isEmpty)
        #expect(conversation.send(binary: Self.sample).isEmpty)
        #expect(conversation.send(#"{"type":"audio","id":"u1","final":true}"#).isEmpty)
        #expect(conversation.send(Conversation.recording("u1", bytes: 8)).texts == [#"{"type":"ack","id":"u1","duplicate":true}"#])
    }

    @Test func `a repeated opening of the open stream tells how far it is and waits for from`() throws {
        let conversation = Conversation()
        try conversation.open("u1")
        for _ in 0..<2 { _ = conversation.send(binary: Self.sample) }
        #expect(conversation.send(Conversation.opening("u1")).texts == [#"{"type":"ack","id":"u1","duplicate":true,"chunks":2}"#])
        #expect(conversation.send(binary: Self.sample).isEmpty)
        #expect(conversation.send(#"{"type":"audio","id":"u1","from":3}"#).errors.isEmpty)
        #expect(conversation.send(binary: Self.sample).commands.count == 1)
    }

    @Test func `an id that belongs to a text opens no stream`() throws {
        let conversation = Conversation()
        try conversation.begin("m1")
        #expect(conversation.send(Conversation.opening("m1")).errors == ["duplicate_id"])
        #expect(conversation.send(binary: Self.sample).isEmpty)
        #expect(conversation.send(#"{"type":"audio","id":"m1","final":true}"#).isEmpty)
    }

    @Test func `frames and the end of a cancelled stream are ignored`() throws {
        let conversation = Conversation()
        try conversation.open("u1")
        _ = conversation.send(binary: Self.sample)
        #expect(conversation.send(#"{"type":"cancel","id":"u1"}"#).commands.map(\.summary) == ["cancel 1"])
        #expect(conversation.send(binary: Self.sample).isEmpty)
        #expect(conversation.send(#"{"type":"audio","id":"u1","final":true}"#).isEmpty)
        #expect(conversation.send(Conversation.opening("u2")).commands.map(\.summary) == ["start u2"])
    }

    @Test func `frames of a stream that its upstream gave up are ignored`() throws {
        let conversation = Conversation()
        let key = try conversation.open("u1")
        let failed = conversation.receive(key, .failure(.upstreamError, message: "gone", retryAfterMilliseconds: nil))
        #expect(failed.sequenced.first?["done"] as? Bool == true)
        #expect(conversation.send(binary: Self.sample).isEmpty)
        #expect(conversation.send(#"{"type":"audio","id":"u1","final":true}"#).isEmpty)
    }

    @Test(arguments: [#"{"type":"audio","id":"u9","final":true}"#, #"{"type":"audio","id":"u9","from":1}"#])
    func `the end or the going on of no stream is invalid audio`(message: String) throws {
        let conversation = Conversation()
        #expect(conversation.send(message).errors == ["invalid_audio"])
        try conversation.open("u1")
        let outcome = conversation.send(message)
        #expect(outcome.errors == ["invalid_audio"])
        #expect(outcome.error?["reply_to"] as? String == "u9" && outcome.error?["param"] as? String == "/id")
        #expect(conversation.send(binary: Self.sample).commands.count == 1)
    }

    @Test func `a malformed message about the open stream doesn't stop it`() throws {
        let conversation = Conversation()
        try conversation.open("u1")
        #expect(conversation.send(#"{"type":"audio","id":"u1","from":0}"#).errors == ["invalid_message"])
        #expect(conversation.send(binary: Self.sample).commands.count == 1)
    }
}

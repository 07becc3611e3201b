// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Protocol page, section "Audio".
@Suite struct SessionAudioTests {
    private static let sample: [UInt8] = [0, 0]

    @Test func `a stream opens, accepts chunks and ends`() throws {
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

    @Test func `a frame without a stream is rejected as invalid_audio`() {
        let outcome = Conversation().send(binary: Self.sample)
        #expect(outcome.errors == ["invalid_audio"])
        #expect(outcome.error?["reply_to"] == nil && outcome.error?["chunk"] == nil)
    }

    @Test func `one stream is open at a time, and a second opening makes the first wait for from`() throws {
        let conversation = Conversation()
        try conversation.open("u1")
        _ = conversation.send(binary: Self.sample)
        let second = conversation.send(Conversation.opening("u2"))
        #expect(second.errors == ["invalid_audio"])
        #expect(second.error?["reply_to"] as? String == "u2" && second.error?["param"] as? String == "/id")
        // The frame belongs to the rejected stream, and is ignored without an error.
        #expect(conversation.send(binary: Self.sample).isEmpty)
        let resumed = conversation.send(#"{"type":"audio","id":"u1","from":2}"#)
        #expect(resumed.texts == [#"{"type":"ack","id":"u1","chunks":1}"#])
        #expect(conversation.send(binary: Self.sample).commands.map(\.summary) == ["audio 1 2"])
    }

    @Test func `an ack is sent after 64 chunks, or with the next chunk after one second`() throws {
        let conversation = Conversation()
        try conversation.open("u1")
        for _ in 1...63 { #expect(conversation.send(binary: Self.sample).replies.isEmpty) }
        #expect(conversation.send(binary: Self.sample).texts == [#"{"type":"ack","id":"u1","chunks":64}"#])
        conversation.advance(milliseconds: 999)
        #expect(conversation.send(binary: Self.sample).replies.isEmpty)
        conversation.advance(milliseconds: 1)
        #expect(conversation.send(binary: Self.sample).texts == [#"{"type":"ack","id":"u1","chunks":66}"#])
    }

    @Test func `during a pause in the audio, an ack is sent after one second`() throws {
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
        arguments: [([3], "invalid_audio"), ([0x03, 0], "invalid_audio"), ([UInt8](repeating: 0, count: 1_000_001), "audio_too_large")]
            as [([UInt8], String)])
    func `an invalid chunk is rejected by its number, and frames are ignored until from`(chunk: [UInt8], code: String) throws {
        let conversation = Conversation()
        try conversation.open("u1", codec: "opus", rate: 48_000)
        let good: [UInt8] = [0, 0, 0, 0]
        #expect(conversation.send(binary: good).commands.count == 1)
        let rejected = conversation.send(binary: chunk)
        #expect(rejected.errors == [code])
        #expect(rejected.error?["reply_to"] as? String == "u1")
        #expect(rejected.error?["chunk"] as? Int == 2)
        #expect(rejected.commands.isEmpty)
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

    @Test func `a recording that isn't an Opus packet is rejected`() {
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
    func `frames and the end of a rejected opening are ignored`(opening: String) {
        let conversation = Conversation()
        #expect(conversation.send(opening).errors.count == 1)
        for _ in 0..<100 { #expect(conversation.send(binary: [0]).isEmpty) }
        #expect(conversation.send(#"{"type":"audio","id":"u1","from":1}"#).isEmpty)
        #expect(conversation.send(#"{"type":"audio","id":"u1","final":true}"#).isEmpty)
        // Afterwards, a frame without a stream is an error again, and the next opening is accepted.
        #expect(conversation.send(binary: [0]).errors == ["invalid_audio"])
        #expect(conversation.send(Conversation.opening("u1")).commands.map(\.summary) == ["start u1"])
    }

    @Test func `frames after a rejected opening are ignored until the next audio message`() {
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

    @Test func `a repeated opening of the open stream returns the accepted chunks and waits for from`() throws {
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

    @Test func `frames of a stream whose upstream failed are ignored`() throws {
        let conversation = Conversation()
        let key = try conversation.open("u1")
        let failed = conversation.receive(key, .failure(.responseIncomplete, retryAfterMilliseconds: nil))
        #expect(failed.sequenced.first?["done"] as? Bool == true)
        #expect(conversation.send(binary: Self.sample).isEmpty)
        #expect(conversation.send(#"{"type":"audio","id":"u1","final":true}"#).isEmpty)
    }

    @Test(arguments: [#"{"type":"audio","id":"u9","final":true}"#, #"{"type":"audio","id":"u9","from":1}"#])
    func `the end or from of a stream that isn't open is rejected as invalid_audio`(message: String) throws {
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

    @Test(arguments: ["pcm16", "mulaw", "opus", "ogg_opus", "webm_opus", "mp4_aac"])
    func `an empty frame is ignored and has no number`(codec: String) throws {
        let conversation = Conversation()
        #expect(conversation.send(binary: []).isEmpty)
        try conversation.open("u1", codec: codec, rate: 48_000)
        #expect(conversation.send(binary: []).isEmpty)
        #expect(conversation.send(binary: [0, 0]).commands.map(\.summary) == ["audio 1 2"])
        #expect(conversation.send(binary: []).isEmpty)
        let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(ended.texts == [#"{"type":"ack","id":"u1","chunks":1}"#])
        #expect(ended.commands.map(\.summary) == ["end 1"])
        #expect(conversation.send(binary: []).isEmpty)
    }

    @Test(
        arguments: [("pcm16", 1, 2), ("pcm16", 2, 4), ("mulaw", 2, 2), ("alaw", 1, 1)] as [(codec: String, channels: Int, frame: Int)],
        [1, 3, 5, 1023])
    func `samples cut anywhere are reassembled, and chunks are numbered as received`(
        format: (codec: String, channels: Int, frame: Int), size: Int
    ) throws {
        let conversation = Conversation()
        try conversation.open("u1", codec: format.codec, rate: 48_000, channels: format.channels)
        let sound = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var forwarded: [UInt8] = []
        var count = 0
        for start in stride(from: 0, to: sound.count, by: size) {
            let chunk = Array(sound[start..<min(sound.count, start + size)])
            count += 1
            let outcome = conversation.perform { session, _, effects in
                chunk.withRawSpan { session.receive(binary: $0, effects: &effects) }
                for case .audio(_, let range) in effects.commands {
                    #expect(range.count % format.frame == 0 && !range.isEmpty)
                    forwarded += effects.audio[range]
                }
            }
            #expect(outcome.errors.isEmpty)
        }
        #expect(forwarded == sound)
        let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(ended.texts == [#"{"type":"ack","id":"u1","chunks":\#(count)}"#])
    }

    @Test func `an incomplete frame at the end is dropped`() throws {
        let conversation = Conversation()
        try conversation.open("u1", channels: 2)
        #expect(conversation.send(binary: [1, 2, 3, 4, 5, 6, 7]).commands.map(\.summary) == ["audio 1 4"])
        let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(ended.texts == [#"{"type":"ack","id":"u1","chunks":1}"#] && ended.commands.map(\.summary) == ["end 1"])
        // The incomplete frame doesn't become part of the next stream.
        try conversation.open("u2", channels: 2)
        #expect(conversation.send(binary: [1, 2, 3, 4]).commands.map(\.summary) == ["audio 2 4"])
    }

    @Test func `an incomplete frame survives a rejected chunk and a lost connection`() throws {
        var policy = SessionPolicy()
        policy.chunks = Rate(units: 10, per: .seconds(1), burst: 1)
        let conversation = Conversation(policy)
        try conversation.open("u1")
        #expect(conversation.send(binary: [1, 2, 3]).commands.map(\.summary) == ["audio 1 2"])
        #expect(conversation.send(binary: [9]).errors == ["rate_limited"])
        conversation.detach()
        conversation.advance(milliseconds: 1000)
        _ = conversation.resume(after: 0)
        _ = conversation.send(#"{"type":"audio","id":"u1","from":2}"#)
        #expect(conversation.send(binary: [4]).commands.map(\.summary) == ["audio 1 2"])
    }

    @Test func `browser recordings at 128 kbit/s are never rejected as too_fast`() throws {
        for (codec, second) in [("webm_opus", 16_500), ("ogg_opus", 16_500), ("mp4_aac", 16_500)] {
            var policy = SessionPolicy()
            policy.realtime = Rate(units: 1.5e6, per: .seconds(1), burst: 5e6)
            let conversation = Conversation(policy)
            try conversation.open("u1", codec: codec, rate: 48_000)
            let file =
                switch codec {
                case "webm_opus": Containers.webM(seconds: 60, bytesPerBlock: second / 50)
                case "ogg_opus": Containers.ogg(seconds: 60, bytes: second)
                default: [UInt8](repeating: 0x21, count: 60 * second)
                }
            for start in stride(from: 0, to: file.count, by: second) {
                let outcome = conversation.send(binary: Array(file[start..<min(file.count, start + second)]))
                #expect(outcome.errors.isEmpty, "\(codec)")
                conversation.advance(milliseconds: 1000)
            }
        }
    }

    @Test func `a file sent faster than its own timestamps is rejected as too_fast`() throws {
        var policy = SessionPolicy()
        policy.realtime = Rate(units: 1.5e6, per: .seconds(1), burst: 5e6)
        for (codec, file) in [
            ("webm_opus", Containers.webM(seconds: 12, bytesPerBlock: 40)), ("ogg_opus", Containers.ogg(seconds: 12, bytes: 2000)),
        ] {
            let conversation = Conversation(policy)
            try conversation.open("u1", codec: codec, rate: 48_000)
            let size = file.count / 12
            var rejected: Int?
            for start in stride(from: 0, to: file.count, by: size) where rejected == nil {
                let outcome = conversation.send(binary: Array(file[start..<min(file.count, start + size)]))
                if !outcome.errors.isEmpty {
                    #expect(outcome.errors == ["too_fast"])
                    rejected = outcome.error?["chunk"] as? Int
                }
            }
            #expect(rejected.map { (5...7).contains($0) } == true, "\(codec) \(String(describing: rejected))")
        }
    }

    @Test func `the duration of a rejected chunk that is sent again counts once`() throws {
        var policy = SessionPolicy()
        policy.realtime = Rate(units: 1e6, per: .seconds(1), burst: 2e6)
        let conversation = Conversation(policy)
        try conversation.open("u1", codec: "ogg_opus", rate: 48_000)
        _ = conversation.send(binary: Containers.oggHeaders())
        func page(_ second: Int64) -> [UInt8] { Containers.page(granule: second * 48_000 + 312, body: [UInt8](repeating: 0, count: 900)) }
        #expect(conversation.send(binary: page(1)).errors.isEmpty && conversation.send(binary: page(2)).errors.isEmpty)
        #expect(conversation.send(binary: page(3)).errors == ["too_fast"])
        conversation.advance(milliseconds: 1000)
        _ = conversation.send(#"{"type":"audio","id":"u1","from":4}"#)
        #expect(conversation.send(binary: page(3)).errors.isEmpty)
        #expect(conversation.session.counts.audioNanoseconds == 3_000_000_000)
    }

    /// A policy that rejects the fourth chunk.
    private static var threeChunks: SessionPolicy {
        var policy = SessionPolicy()
        policy.chunks = Rate(units: 1, per: .seconds(60), burst: 3)
        return policy
    }

    @Test func `a recording with a rejected chunk fails at its end`() throws {
        let conversation = Conversation(Self.threeChunks)
        let key = try conversation.open("u1")
        for _ in 0..<3 { #expect(conversation.send(binary: Self.sample).errors.isEmpty) }
        #expect(conversation.send(binary: Self.sample).errors == ["rate_limited"])
        #expect(conversation.send(binary: Self.sample).isEmpty)
        let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(ended.texts == [#"{"type":"ack","id":"u1","chunks":3}"#])
        #expect(ended.commands.map(\.summary) == ["cancel 1"])
        let last = try #require(ended.sequenced.first)
        #expect(last.type == "error" && last["done"] as? Bool == true && last["reply_to"] as? String == "u1" && last["seq"] as? Int == 1)
        #expect(last.error?["code"] as? String == "invalid_audio" && last.error?["retryable"] as? Bool == true)
        #expect(last.error?["message"] as? String == ErrorReason.incompleteRecording.message)
        // Later events of the request are dropped, and the next stream opens.
        #expect(conversation.receive(key, .text([0x61], final: true), isLast: true).isEmpty)
        #expect(conversation.send(binary: Self.sample).errors == ["invalid_audio"])
        #expect(conversation.send(Conversation.opening("u2")).commands.map(\.summary) == ["start u2"])
    }

    @Test func `an end without the rejected chunk doesn't count as a violation`() throws {
        var policy = Self.threeChunks
        policy.violations = Rate(units: 1, per: .seconds(60), burst: 1)
        let conversation = Conversation(policy)
        try conversation.open("u1")
        for _ in 0..<4 { _ = conversation.send(binary: Self.sample) }
        let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(ended.closing == nil && ended.sequenced.count == 1)
    }

    @Test func `a recording whose rejected chunk was sent again is complete`() throws {
        let conversation = Conversation(Self.threeChunks)
        try conversation.open("u1")
        for _ in 0..<4 { _ = conversation.send(binary: Self.sample) }
        conversation.advance(milliseconds: 60_000)
        #expect(conversation.send(#"{"type":"audio","id":"u1","from":4}"#).errors.isEmpty)
        #expect(conversation.send(binary: Self.sample).errors.isEmpty)
        let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(ended.commands.map(\.summary) == ["end 1"] && ended.sequenced.isEmpty)
    }

    @Test func `an end directly after from completes the recording without the rejected chunk`() throws {
        let conversation = Conversation(Self.threeChunks)
        try conversation.open("u1")
        for _ in 0..<4 { _ = conversation.send(binary: Self.sample) }
        #expect(conversation.send(#"{"type":"audio","id":"u1","from":4}"#).errors.isEmpty)
        #expect(conversation.send(#"{"type":"audio","id":"u1","final":true}"#).commands.map(\.summary) == ["end 1"])
    }

    @Test func `frames that are ignored after a resume or a repeated opening leave the recording incomplete, too`() throws {
        for isResumed in [true, false] {
            let conversation = Conversation()
            try conversation.open("u1")
            _ = conversation.send(binary: Self.sample)
            if isResumed {
                conversation.detach()
                _ = conversation.resume(after: 0)
            } else {
                _ = conversation.send(Conversation.opening("u1"))
            }
            #expect(conversation.send(binary: []).isEmpty && conversation.send(binary: Self.sample).isEmpty)
            let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
            #expect(ended.sequenced.first?.error?["code"] as? String == "invalid_audio")
        }
    }

    @Test func `a lost connection and frames of another stream leave a recording complete`() throws {
        let conversation = Conversation()
        try conversation.open("u1")
        _ = conversation.send(binary: Self.sample)
        #expect(conversation.send(Conversation.opening("u2")).errors == ["invalid_audio"])
        #expect(conversation.send(binary: Self.sample).isEmpty)
        conversation.detach()
        _ = conversation.resume(after: 0)
        #expect(conversation.send(binary: []).isEmpty)
        let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(ended.commands.map(\.summary) == ["end 1"] && ended.sequenced.isEmpty)
    }

    @Test func `a chunk rejected before a lost connection still leaves the recording incomplete after the resume`() throws {
        let conversation = Conversation(Self.threeChunks)
        try conversation.open("u1")
        for _ in 0..<4 { _ = conversation.send(binary: Self.sample) }
        conversation.detach()
        _ = conversation.resume(after: 0)
        let ended = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(ended.sequenced.first?.error?["code"] as? String == "invalid_audio")
    }
}

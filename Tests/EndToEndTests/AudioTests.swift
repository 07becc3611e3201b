// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Audio input and output (protocol page, section "Audio").
@Suite(.bounded) struct AudioTests {
    static let format: JSON = ["codec": "pcm16", "rate": 16000, "channels": 1]
    /// 20 ms at 16 kHz.
    static let frame = [UInt8](repeating: 1, count: 640)

    private func open(_ client: TestWebSocket, id: String = "u", format: JSON = format, meta: JSON? = nil) async throws {
        try await client.send(JSON.object(["type": "audio", "id": .string(id), "format": format]).with("meta", meta))
        #expect(try await client.message() == ["type": "ack", "id": .string(id), "chunks": 0])
    }

    @Test func `a stream is opened, receives chunks, ends and is transcribed`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await open(client)
        // 2 s of audio, the first second of it a square wave at half scale.
        for index in 0..<50 {
            let sample: [UInt8] = index < 25 ? [0x00, 0x40, 0x00, 0xC0] : [0, 0, 0, 0]
            try await client.send(binary: Array((0..<320).flatMap { _ in sample }))
        }
        try await client.send(["type": "audio", "id": "u", "final": true])
        #expect(try await client.acknowledged("u", upTo: 50) == 50)
        let transcript = try await client.message("transcript")
        #expect(
            transcript.without("usage", "timing")
                == [
                    "type": "transcript", "seq": 1, "reply_to": "u", "text": "2.0 s of pcm16 at 16000 Hz, peak -6.0 dBFS, 50 % speech",
                    "final": true, "done": true,
                ])
        try await client.send(["type": "status"])
        #expect(try await client.message("status")["session"]["audio_seconds"] == 2)
    }

    @Test func `every 64 chunks are acknowledged`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await open(client)
        try await client.socket.send((0..<64).flatMap { _ in TestFrame(TestFrame.binary, Self.frame).bytes })
        // On a busy machine, an earlier ack may have been sent because a second has passed.
        #expect(try await client.acknowledged("u", upTo: 64) == 64)
    }

    @Test func `a chunk is acknowledged within a second`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await open(client)
        let start = ContinuousClock.now
        try await client.send(binary: Self.frame)
        #expect(try await client.message() == ["type": "ack", "id": "u", "chunks": 1])
        // The protocol promises one second; the rest is a margin for a busy machine.
        #expect(ContinuousClock.now - start < .seconds(3))
        try await client.send(["type": "audio", "id": "u", "final": true])
        #expect(try await client.message() == ["type": "ack", "id": "u", "chunks": 1])
        _ = try await client.message("transcript")
    }

    @Test func `a whole recording in one message is transcribed; its id detects duplicates`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "audio", "id": "u", "format": Self.format, "data": "AEAAwA==", "final": true])
        #expect(try await client.message() == ["type": "ack", "id": "u", "chunks": 1])
        #expect(try await client.message("transcript")["done"] == true)
        try await client.send(["type": "audio", "id": "u", "format": Self.format, "data": "AEAAwA==", "final": true])
        #expect(try await client.message().without("chunks") == ["type": "ack", "id": "u", "duplicate": true])
        try await client.expectServed()
    }

    @Test func `with meta echo audio the audio is returned`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await open(client, meta: ["echo": "audio"])
        let chunks = (1...5).map { [UInt8](repeating: UInt8($0), count: 640) }
        for chunk in chunks { try await client.send(binary: chunk) }
        try await client.send(["type": "audio", "id": "u", "final": true])
        var received: [[UInt8]] = []
        var opening: JSON?
        var ending: JSON?
        var transcript: JSON?
        while transcript == nil {
            switch try await client.next() {
            case .binary(let bytes):
                #expect(opening != nil && ending == nil)
                received.append(bytes)
            case .text(let text):
                let message = try JSON(text)
                switch message["type"].string {
                case "ack": break
                case "audio" where message["final"] == true: ending = message
                case "audio": opening = message
                case "transcript": transcript = message
                default: Issue.record("\(message)")
                }
            case let other: Issue.record("\(other)")
            }
        }
        #expect(received == chunks)
        #expect(opening?["reply_to"] == "u")
        #expect(opening?["format"] == Self.format)
        #expect(ending?["reply_to"] == "u")
        #expect(opening?["seq"] == 1)
        #expect(ending?["seq"] == 7)
        #expect(transcript?["seq"] == 8)
    }

    @Test func `a binary frame without a stream is invalid_audio`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(binary: Self.frame)
        let error = try await client.error("invalid_audio")
        #expect(error["fatal"] == false)
        try await open(client)
    }

    struct Chunk: Sendable, CustomTestStringConvertible {
        var format: JSON
        var bytes: [UInt8]
        var code: String
        var testDescription: String { "\(code) \(bytes.count) \(format)" }
    }

    static let badChunks = [
        Chunk(format: ["codec": "opus", "rate": 48000, "channels": 1], bytes: [3], code: "invalid_audio"),
        Chunk(format: format, bytes: [UInt8](repeating: 0, count: 1_000_002), code: "audio_too_large"),
        Chunk(
            format: ["codec": "webm_opus", "rate": 48000, "channels": 1], bytes: [UInt8](repeating: 0, count: 1_000_001),
            code: "audio_too_large"),
    ]

    @Test(arguments: badChunks)
    func `a rejected chunk is reported, later chunks are ignored, and the stream resumes from it`(_ bad: Chunk) async throws {
        let gateway = try await SharedGateways.withoutLimits(["delivery.upstream_queue_bytes": "4MB"])
        let client = try await gateway.client()
        try await open(client, format: bad.format)
        let good: [UInt8] = bad.format["codec"] == "opus" ? [0xFC, 0xFF] : [0, 0, 0, 0]
        try await client.send(binary: good)
        try await client.send(binary: bad.bytes)
        let error = try await client.messagePastAcks("error")["error"]
        #expect(error["code"] == .string(bad.code))
        #expect(error["reply_to"] == "u")
        #expect(error["chunk"] == 2)
        #expect(error["fatal"] == false)
        // Frames are ignored until `from`, whether valid or not.
        try await client.send(binary: good)
        try await client.send(binary: bad.bytes)
        for wrong in [3, 1] {
            try await client.send(["type": "audio", "id": "u", "from": .number(Double(wrong))])
            let error = try await client.messagePastAcks("error")["error"]
            #expect(error["code"] == "invalid_audio")
            #expect(error["param"] == "/from")
        }
        try await client.send(binary: good)
        try await client.send(["type": "audio", "id": "u", "from": 2])
        try await client.send(binary: good)
        try await client.send(["type": "audio", "id": "u", "final": true])
        #expect(try await client.acknowledged("u", upTo: 2) == 2)
        _ = try await client.messagePastAcks("transcript")
    }

    @Test func `samples split across frames, with empty frames in between, are whole samples in the response`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await open(client, meta: ["echo": "audio"])
        let sound = (0..<3000).map { UInt8(truncatingIfNeeded: $0) }
        try await client.send(binary: [])
        for start in stride(from: 0, to: sound.count, by: 7) {
            try await client.send(binary: Array(sound[start..<min(sound.count, start + 7)]))
            try await client.send(binary: [])
        }
        try await client.send(["type": "audio", "id": "u", "final": true])
        var received: [UInt8] = []
        while true {
            switch try await client.next() {
            case .binary(let bytes):
                #expect(bytes.count % 2 == 0)
                received += bytes
            case .text(let text):
                let message = try JSON(text)
                #expect(message["type"] != "error")
                if message["done"] == true { return #expect(received == sound) }
            case let other: Issue.record("\(other)")
            }
        }
    }

    @Test func `a chunk of messages audio_max_bytes is accepted`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["delivery.upstream_queue_bytes": "4MB"])
        let client = try await gateway.client()
        try await open(client)
        try await client.send(binary: [UInt8](repeating: 0, count: 1_000_000))
        try await client.send(["type": "audio", "id": "u", "final": true])
        #expect(try await client.acknowledged("u", upTo: 1) == 1)
    }

    static let badRecordings: [(data: String, code: String)] = [
        ("", "invalid_audio"), ("A", "invalid_audio"), ("AA", "invalid_audio"), ("AAA", "invalid_audio"), ("AA==", "invalid_audio"),
        ("AAAAAA=", "invalid_audio"), ("AAAA\\nAAAA", "invalid_audio"), ("AAAA-_AA", "invalid_audio"), ("AAB=", "invalid_audio"),
    ]

    @Test(arguments: badRecordings)
    func `a recording that isn't strict base64 of whole samples is invalid_audio`(data: String, code: String) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(
            #"{"type":"audio","id":"u","format":{"codec":"pcm16","rate":16000,"channels":1},"data":"\#(data)","final":true}"#)
        let error = try await client.error(code)
        #expect(error["param"] == "/data")
        #expect(error["reply_to"] == "u")
        try await client.send(binary: Self.frame)
        try await client.expectServed()
        try await client.send(["type": "audio", "id": "u", "format": Self.format, "data": "AEAAwA==", "final": true])
        #expect(try await client.message() == ["type": "ack", "id": "u", "chunks": 1])
    }

    @Test func `a recording of 1 MB is accepted, a longer one is audio_too_large`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["delivery.upstream_queue_bytes": "4MB"])
        let client = try await gateway.client()
        let megabyte = String(repeating: "AAAA", count: 333_333) + "AA=="
        try await client.send(["type": "audio", "id": "u", "format": Self.format, "data": .string(megabyte), "final": true])
        #expect(try await client.message() == ["type": "ack", "id": "u", "chunks": 1])
        _ = try await client.message("transcript")
        try await client.send(["type": "audio", "id": "v", "format": Self.format, "data": .string("AAAA" + megabyte), "final": true])
        #expect(try await client.error("audio_too_large")["reply_to"] == "v")
        try await client.expectServed()
    }

    @Test func `a second stream is rejected while one is open`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await open(client, id: "one")
        try await client.send(binary: Self.frame)
        try await client.send(["type": "audio", "id": "two", "format": Self.format])
        let error = try await client.messagePastAcks("error")
        #expect(error["error"]["code"] == "invalid_audio")
        #expect(error["error"]["reply_to"] == "two")
        // Frames of the rejected second stream are ignored by the first.
        try await client.send(binary: Self.frame)
        try await client.send(["type": "audio", "id": "one", "from": 2])
        try await client.send(binary: Self.frame)
        try await client.send(["type": "audio", "id": "one", "final": true])
        #expect(try await client.acknowledged("one", upTo: 2) == 2)
        _ = try await client.messagePastAcks("transcript")
        try await open(client, id: "two")
    }

    @Test(arguments: [["final": true], ["from": 1]] as [JSON])
    func `the end of a stream that isn't open is invalid_audio`(_ message: JSON) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(message.with("type", "audio").with("id", "u"))
        let error = try await client.error("invalid_audio")
        #expect(error["reply_to"] == "u")
        try await open(client, id: "other")
        try await client.send(message.with("type", "audio").with("id", "u"))
        _ = try await client.error("invalid_audio")
        try await client.expectServed()
    }

    @Test func `frames after a rejected opening are ignored`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(["type": "audio", "id": "u", "format": ["codec": "pcm16", "rate": 1, "channels": 1]])
        _ = try await client.error("invalid_audio")
        try await client.send(binary: Self.frame)
        try await client.send(binary: [])
        try await client.send(["type": "audio", "id": "u", "final": true])
        try await client.expectServed()
        try await client.send(binary: Self.frame)
        _ = try await client.error("invalid_audio")
        try await open(client)
    }

    @Test func `frames after a duplicate opening are ignored`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await open(client)
        try await client.send(["type": "audio", "id": "u", "final": true])
        _ = try await client.message("ack")
        _ = try await client.message("transcript")
        try await client.send(["type": "audio", "id": "u", "format": Self.format])
        #expect(try await client.message().without("chunks") == ["type": "ack", "id": "u", "duplicate": true])
        try await client.send(binary: Self.frame)
        try await client.send(["type": "audio", "id": "u", "final": true])
        try await client.expectServed()
        try await open(client, id: "v")
    }

    @Test func `a cancelled stream is done, and its later frames are ignored`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await open(client, meta: ["echo": "audio"])
        try await client.send(["type": "cancel", "id": "u", "reason": "barge in", "played_ms": 10])
        let status = try await client.message("status")
        #expect(
            status.without("usage", "timing")
                == ["type": "status", "seq": 1, "reply_to": "u", "state": "cancelled", "done": true])
        try await client.send(binary: Self.frame)
        try await client.send(["type": "audio", "id": "u", "final": true])
        try await client.expectServed()
        try await client.send(["type": "cancel", "id": "u"])
        _ = try await client.error("not_found")
        try await client.send(["type": "audio", "id": "u", "format": Self.format])
        #expect(try await client.message().without("chunks") == ["type": "ack", "id": "u", "duplicate": true])
        try await open(client, id: "v")
    }

    @Test(arguments: ["pcm16", "mulaw", "alaw", "opus", "ogg_opus", "webm_opus", "mp4_aac"])
    func `every codec is accepted`(codec: String) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await open(client, format: ["codec": .string(codec), "rate": 48000, "channels": 2])
        try await client.send(binary: codec == "opus" ? [0xFC, 0xFF, 0xFE] : [0, 0, 0, 0])
        try await client.send(["type": "audio", "id": "u", "final": true])
        #expect(try await client.acknowledged("u", upTo: 1) == 1)
        let text = try await client.messagePastAcks("transcript")["text"].string ?? ""
        #expect(text.contains("s of \(codec) at 48000 Hz"))
    }
}

extension TestWebSocket {
    /// Returns the next message other than an `ack` of chunks, which can arrive at any time.
    func messagePastAcks(_ type: String) async throws -> JSON {
        var message = try await message()
        while message["type"] == "ack", !message["chunks"].isNull { message = try await self.message() }
        guard message["type"].string == type else { throw TestFailure("not \(type): \(message)") }
        return message
    }

    /// Reads `ack` messages until one acknowledges at least `count` chunks, and returns its number of chunks.
    func acknowledged(_ id: String, upTo count: Int) async throws -> Int {
        var last = 0
        while last < count {
            let ack = try await message("ack")
            guard ack["id"].string == id, let chunks = ack["chunks"].integer, chunks >= last else {
                throw TestFailure("not an ack: \(ack)")
            }
            last = chunks
        }
        return last
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOHTTP1
import Support
import Testing

@testable import GatewayAudio
@testable import GatewayServer

/// Requests to `openai` transcription and speech upstreams, and the parsing of their responses.
@Suite struct OpenAIAudioTests {
    private func transcript(_ body: String, type: String?) throws -> String {
        let reader = TranscriptionResponseReader(limit: 1000)
        var headers = HTTPHeaders()
        if let type { headers.add(name: "Content-Type", value: type) }
        try reader.begin(headers)
        var text: String?
        for byte in body.utf8 { try reader.receive([byte].span.bytes) { _ in } }
        try reader.end { step in
            if case .last(.transcript(let transcript, true, _, _, _), _) = step { text = String(decoding: transcript, as: UTF8.self) }
        }
        return try #require(text)
    }

    @Test(arguments: ["application/json", "text/plain; charset=utf-8", "text/html", "application/octet-stream", nil])
    func `a JSON transcript is parsed whatever its content type`(type: String?) throws {
        for body in [#"{"text":"\u3000 hello there\n"}"#, #"{"task":"transcribe","text":" hello there","segments":[]}"#] {
            #expect(try transcript(body, type: type) == "hello there")
        }
    }

    @Test func `a plain-text transcript requires the type text/plain or none`() throws {
        #expect(try transcript(" hello there\n", type: "text/plain") == "hello there")
        #expect(try transcript("hello there", type: nil) == "hello there")
        for type in ["application/json", "text/html", "audio/wav"] {
            #expect(throws: CallFailure.self) { _ = try transcript("hello there", type: type) }
        }
    }

    private func form(_ codec: AudioFormat.Codec, data: [UInt8] = [1, 2, 3]) throws -> String {
        var configuration = GatewayConfiguration.Upstream()
        (configuration.kind, configuration.task) = (.openai, .transcription)
        let request = UpstreamRequest(
            key: RequestKey(number: 1), id: try #require(MessageID("u1")),
            input: .recording(AudioFormat(codec: codec, rate: 48_000, channels: 1), data), lang: nil, stream: true,
            output: UpstreamRequest.Output(), meta: [])
        return String(decoding: try HTTPCall(request, configuration, now: { Instant(nanoseconds: 0) }).body, as: UTF8.self)
    }

    @Test(
        arguments: [
            (.pcm16, "audio.wav", "audio/wav"), (.oggOpus, "audio.ogg", "audio/ogg"), (.webmOpus, "audio.webm", "audio/webm"),
            (.mp4AAC, "audio.mp4", "audio/mp4"),
        ] as [(AudioFormat.Codec, String, String)])
    func `a recording is uploaded with its container's name and type`(codec: AudioFormat.Codec, name: String, type: String) throws {
        #expect(try form(codec).contains("filename=\"\(name)\"\r\nContent-Type: \(type)\r\n\r\n"))
    }

    /// Parses WAV bodies. Returns one line per event.
    private func speech(_ parts: [[UInt8]], type: String = "audio/wav") throws -> [String] {
        let reader = SpeechResponseReader()
        try reader.begin(["Content-Type": type])
        var events: [String] = []
        func record(_ step: ResponseStream.Step) {
            switch step {
            case .event(.audio(let format)): events.append("begin \(format.codec) \(format.rate)")
            case .event(.audioChunk(let chunk)): events.append("\(chunk.count)")
            case .event(.audioEnd(let format)): events.append("end \(format.rate)")
            case .last(.audioEnd(let format), _): events.append("last \(format.rate)")
            default: events.append("?")
            }
        }
        for part in parts { try reader.receive(part.span.bytes, record) }
        try reader.end(record)
        return events
    }

    private func wav(rate: Int = 22_050, bytes: Int, declared: Int? = nil) -> [UInt8] {
        let format = AudioFormat(codec: .pcm16, rate: rate, channels: 1)
        return (WAVFile.header(format, dataCount: declared ?? bytes) ?? []) + [UInt8](repeating: 1, count: bytes)
    }

    @Test func `WAV files of one format form one audio stream; another format begins a new one`() throws {
        let one = wav(bytes: 100, declared: 0)
        #expect(try speech([one + one, one]) == ["begin pcm16 22050", "100", "100", "100", "last 22050"])
        #expect(
            try speech([one, wav(rate: 96_000, bytes: 4)]) == [
                "begin pcm16 22050", "100", "end 22050", "begin pcm16 96000", "4", "last 96000",
            ])
    }

    @Test(arguments: ["audio/wav", "audio/x-wav", "application/octet-stream", "text/plain", "application/json"])
    func `a WAV file is recognized by its signature whatever the content type`(type: String) throws {
        #expect(try speech([wav(bytes: 101, declared: 2_000_000_000)], type: type) == ["begin pcm16 22050", "100", "last 22050"])
        #expect(throws: CallFailure.self) { _ = try speech([Array(#"{"error":{"message":"no"}}"#.utf8)], type: type) }
        #expect(throws: CallFailure.self) { _ = try speech([Array("RIFF".utf8)], type: type) }
    }
}

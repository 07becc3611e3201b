// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Response stream") struct ResponseStreamTests {
    private struct Reading {
        var stream = ResponseStream()
        var steps: [String] = []

        mutating func receive(_ json: String) throws {
            var found: [String] = []
            let message = try Array(json.utf8).withRawSpanThrowing { (bytes) throws(ResponseFault) in try UpstreamMessage(bytes) }
            try stream.receive(message) { found.append(Self.shown($0)) }
            steps += found
        }

        static func shown(_ step: ResponseStream.Step) -> String {
            switch step {
            case .event(let content): shown(content)
            case .last(let content, _): shown(content) + " last"
            case .failed: "failed"
            case .chunk(let bytes): "chunk \(bytes)"
            }
        }

        static func shown(_ content: UpstreamEvent.Content) -> String {
            switch content {
            case .text(let text, _): String(decoding: text, as: UTF8.self)
            case .audio: "audio"
            case .audioChunk(let chunk): "\(chunk.count) bytes"
            case .audioEnd: "audio end"
            default: "other"
            }
        }
    }

    private let audio = #"{"type":"audio","format":{"codec":"pcm16","rate":8000}}"#

    @Test func `audio begins, has chunks and ends`() throws {
        var reading = Reading()
        try reading.receive(#"{"type":"text","text":"a"}"#)
        try reading.receive(audio)
        try reading.receive(#"{"type":"chunk","bytes":4}"#)
        let chunk = try reading.stream.receive(chunk: [1, 2, 3, 4])
        #expect(Reading.shown(chunk) == "4 bytes")
        try reading.receive(#"{"type":"audio","final":true,"done":true}"#)
        #expect(reading.steps == ["a", "audio", "chunk 4", "audio end last"])
    }

    @Test func `the last message ends open audio`() throws {
        var reading = Reading()
        try reading.receive(audio)
        try reading.receive(#"{"type":"text","text":"bye","done":true}"#)
        #expect(reading.steps == ["audio", "audio end", "bye last"])
    }

    @Test func `a recording is split into chunks of whole samples`() throws {
        var chunks: [Int] = []
        ResponseStream.cut([UInt8](repeating: 0, count: 40_000), format: AudioFormat(codec: .pcm16, rate: 8000, channels: 2)) {
            chunks.append($0.count)
        }
        #expect(chunks == [16_384, 16_384, 7232])
    }

    @Test func `a message out of order is rejected`() throws {
        func fault(_ jsons: String...) -> String? {
            var reading = Reading()
            do {
                for json in jsons { try reading.receive(json) }
                return nil
            } catch { return "\(error)" }
        }
        #expect(fault(#"{"type":"chunk","bytes":4}"#) == "a chunk outside of an audio output")
        #expect(fault(audio, audio) == "audio begins within audio")
        #expect(fault(#"{"type":"audio","final":true}"#) == "audio ends before it begins")
        #expect(fault(#"{"text":"a","done":true}"#, #"{"text":"b"}"#) == "a message after the end of the response")
        #expect(fault(#"{"type":"error"}"#, #"{"text":"b"}"#) == "a message after the end of the response")
        var reading = Reading()
        try reading.receive(audio)
        let partialSamples = #expect(throws: ResponseFault.self) { _ = try reading.stream.receive(chunk: [1]) }
        #expect(partialSamples?.description == "a chunk doesn't contain whole samples")
    }
}

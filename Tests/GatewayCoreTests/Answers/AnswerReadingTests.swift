import GatewayCore
import Testing

@Suite("A stream of server-sent events") struct ServerSentEventsTests {
    private func events(_ text: String, cutEvery size: Int = .max, limit: Int = 1000) throws -> [String] {
        var reader = ServerSentEvents(limit: limit)
        var found: [String] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: min(size, max(1, bytes.count))) {
            let piece = Array(bytes[start..<min(bytes.count, start + min(size, bytes.count))])
            try piece.withRawSpanThrowing { (span) throws(AnswerFault) in
                try reader.take(span) { (data) throws(AnswerFault) in
                    found.append(String(decoding: data.withUnsafeBytes { Array($0) }, as: UTF8.self))
                }
            }
        }
        return found
    }

    private static let stream =
        "\u{FEFF}: a comment\r\nevent: x\ndata: one\r\n\r\ndata:two\rdata: and more\r\rid: 7\nretry: 5\ndata\n\ndatabase: no\n\ndata: Grüße\n\ndata: cut"

    @Test(arguments: [Int.max, 1, 2, 3, 7])
    func `is read however it is cut, with any line ends`(size: Int) throws {
        #expect(try events(Self.stream, cutEvery: size) == ["one", "two\nand more", "", "Grüße"])
    }

    @Test func `an event at the limit is read, and one more byte isn't kept`() throws {
        let data = String(repeating: "a", count: 100)
        #expect(try events("data: \(data)\n\n", limit: 100) == [data])
        #expect(throws: AnswerFault.self) { try events("data: " + String(repeating: "a", count: 200), cutEvery: 10, limit: 100) }
        #expect(throws: AnswerFault.self) {
            try events(String(repeating: "data: aaaaaaaaaa\n", count: 20), limit: 100)
        }
    }
}

@Suite("Answers of other people's servers") struct ForeignAnswerTests {
    @Test func `a transcription`() throws {
        let answer = try Array(#"{"text":" hello","language":"en"}"#.utf8).withRawSpanThrowing { (bytes) throws(AnswerFault) in
            try TranscriptionAnswer(bytes)
        }
        #expect(answer.text == Array(" hello".utf8))
    }

    @Test func `results of vosk`() throws {
        func vosk(_ json: String) throws -> VoskAnswer {
            try Array(json.utf8).withRawSpanThrowing { (bytes) throws(AnswerFault) in try VoskAnswer(bytes) }
        }
        let partial = try vosk(#"{"partial":"hel"}"#)
        #expect(partial.text == Array("hel".utf8) && !partial.isFinal)
        let result = try vosk(
            #"{"result":[{"conf":0.5,"start":0.25,"end":1,"word":"a"},{"conf":1,"start":1.5,"end":2.75,"word":"b"}],"text":"a b"}"#)
        #expect(result.isFinal && result.confidence == 0.75)
        #expect(result.startMilliseconds == 250 && result.endMilliseconds == 2750)
        #expect(throws: AnswerFault.self) { _ = try vosk(#"{"text":7}"#) }
        #expect(throws: AnswerFault.self) { _ = try vosk(#"{}"#) }
    }
}

@Suite("Sentences") struct SentenceSplitterTests {
    private func split(_ text: String, cutEvery size: Int) -> [String] {
        var splitter = SentenceSplitter()
        let bytes = Array(text.utf8)
        var found: [[UInt8]] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            found += splitter.take(Array(bytes[start..<min(bytes.count, start + size)]))
        }
        if let rest = splitter.finish() { found.append(rest) }
        return found.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(arguments: [1, 3, 1000])
    func `are cut where they end, and add up to the text`(size: Int) {
        let text = "Hello, Dr. Who! It is five o'clock, isn't it? \"Yes, it certainly is.\" And so on"
        let sentences = split(text, cutEvery: size)
        #expect(sentences == ["Hello, Dr. Who! It is five o'clock, isn't it? ", "\"Yes, it certainly is.\" ", "And so on"])
        #expect(sentences.joined() == text)
    }

    @Test func `are cut without a space where a script has none`() {
        #expect(split("今日はとてもいい天気ですね。明日も晴れるでしょう。", cutEvery: 5).count == 2)
    }

    @Test(arguments: ["word ", "ß"])
    func `without an end are cut at a word, or at a character`(piece: String) {
        let text = String(repeating: piece, count: 500)
        let sentences = split(text, cutEvery: 50)
        #expect(sentences.joined() == text)
        #expect(sentences.allSatisfy { $0.utf8.count <= 400 })
    }

    @Test func `white space alone is none`() {
        #expect(split("  \n ", cutEvery: 10) == [])
    }
}

@Suite("A WAV file as it comes") struct WAVStreamTests {
    private func file(rate: UInt32 = 22_050, channels: UInt16 = 1, tag: UInt16 = 1, bits: UInt16 = 16, data: UInt32, extra: Int = 0)
        -> [UInt8]
    {
        func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
            (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        var bytes = Array("RIFF".utf8) + little(UInt32.max) + Array("WAVE".utf8)
        if extra > 0 { bytes += Array("LIST".utf8) + little(UInt32(extra)) + [UInt8](repeating: 7, count: extra + extra % 2) }
        bytes += Array("fmt ".utf8) + little(UInt32(16)) + little(tag) + little(channels) + little(rate)
        bytes += little(rate * UInt32(channels * bits / 8)) + little(channels * bits / 8) + little(bits)
        return bytes + Array("data".utf8) + little(data)
    }

    private func read(_ bytes: [UInt8], cutEvery size: Int) throws -> (AudioFormat?, [UInt8]) {
        var stream = WAVStream()
        var samples: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = Array(bytes[start..<min(bytes.count, start + size)])
            let part = try piece.withRawSpanThrowing { (span) throws(AnswerFault) in try stream.take(span) }
            #expect(part.count % (stream.format?.frameBytes ?? 1) == 0)
            samples += part
        }
        return (stream.format, samples)
    }

    @Test(arguments: [1, 7, 100, 100_000])
    func `gives whole samples, however it is cut`(size: Int) throws {
        let sound = (0..<9000).map { UInt8(truncatingIfNeeded: $0) }
        for announced in [9000, 0, UInt32.max] as [UInt32] {
            let (format, samples) = try read(file(data: announced, extra: 9) + sound, cutEvery: size)
            #expect(format == AudioFormat(codec: .pcm16, rate: 22_050, channels: 1))
            #expect(samples == sound)
        }
    }

    @Test(arguments: [1, 7, 100_000])
    func `its samples begin within 4096 bytes, however it is cut`(size: Int) throws {
        // 52 bytes are the header's without anything else.
        #expect(try read(file(data: 2, extra: 4096 - 52) + [1, 2], cutEvery: size).1 == [1, 2])
        #expect(throws: AnswerFault("the WAV file has no samples in its first 4096 bytes")) {
            _ = try read(file(data: 2, extra: 4096 - 50) + [1, 2], cutEvery: size)
        }
    }

    @Test func `what follows the samples is none of them`() throws {
        #expect(try read(file(data: 4) + [1, 2, 3, 4] + Array("LIST".utf8), cutEvery: 5).1 == [1, 2, 3, 4])
        #expect(try read(file(data: 100) + [1, 2, 3], cutEvery: 50).1 == [1, 2])
    }

    @Test func `only what clients can be sent is taken`() throws {
        #expect(try read(file(rate: 8000, channels: 2, tag: 7, bits: 8, data: 2) + [1, 2], cutEvery: 9).0?.codec == .mulaw)
        for bad in [
            file(rate: 7999, data: 2), file(channels: 3, data: 2), file(tag: 3, bits: 32, data: 2), Array("ID3 this is no WAV file".utf8),
            Array(file(data: 2)[..<12]) + Array("data".utf8) + [2, 0, 0, 0, 1, 2], file(data: 2, extra: 5000) + [1, 2],
            Array("RIFF".utf8) + [0, 0, 0, 0] + Array("WAVE".utf8)
                + [UInt8](repeating: 0, count: 5000).enumerated().map { $0.offset % 8 < 4 ? 0x41 : 0 },
        ] {
            #expect(throws: AnswerFault.self) { _ = try read(bad, cutEvery: 100) }
        }
    }
}

@Suite("Lines of a process") struct AnswerLinesTests {
    private func read(_ bytes: [UInt8], cutEvery size: Int, limit: Int = 100) throws -> [String] {
        var lines = AnswerLines(limit: limit)
        var found: [String] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = Array(bytes[start..<min(bytes.count, start + size)])
            try piece.withRawSpanThrowing { (span) throws(AnswerFault) in
                try lines.take(span) { (line) throws(AnswerFault) in
                    let text = String(decoding: line.withUnsafeBytes { Array($0) }, as: UTF8.self)
                    found.append(text)
                    return text.hasPrefix("+") ? Int(text.dropFirst()) ?? 0 : 0
                } onChunk: { (chunk) throws(AnswerFault) in
                    found.append("<\(chunk.count)>")
                }
            }
        }
        return found
    }

    @Test(arguments: [1, 2, 5, 1000])
    func `are told from the bytes that they announce, however they are cut`(size: Int) throws {
        let bytes = Array("one\n\n  \n+6\n".utf8) + [10, 13, 0, 255, 10, 10] + Array("two\n+1\n\n+0\nend\ncut".utf8)
        #expect(try read(bytes, cutEvery: size) == ["one", "+6", "<6>", "two", "+1", "<1>", "+0", "end"])
    }

    @Test func `one at the limit is read, and one more byte isn't kept`() throws {
        let line = String(repeating: "a", count: 100)
        #expect(try read(Array("\(line)\n".utf8), cutEvery: 9) == [line])
        #expect(throws: AnswerFault.self) { try read(Array("\(line)a".utf8), cutEvery: 9) }
    }
}

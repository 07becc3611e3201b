// SPDX-License-Identifier: Apache-2.0

import GatewayAudio
import GatewayCore
import Testing

@Suite struct WAVFileTests {
    @Test func `a 16-bit PCM file is parsed`() throws {
        let wav = try WAVBytes().format().data(640).read()
        #expect(wav == WAVFile(format: AudioFormat(codec: .pcm16, rate: 16000, channels: 1), dataOffset: 44, dataCount: 640))
    }

    @Test(arguments: [(6, AudioFormat.Codec.alaw), (7, .mulaw)] as [(UInt16, AudioFormat.Codec)])
    func `A-law and mu-law files are parsed`(tag: UInt16, codec: AudioFormat.Codec) throws {
        let wav = try WAVBytes().format(tag: tag, channels: 2, rate: 8000, bits: 8, extra: [0, 0]).chunk("fact", [1, 0, 0, 0]).data(320)
            .read()
        #expect(wav.format == AudioFormat(codec: codec, rate: 8000, channels: 2))
        #expect(wav.dataCount == 320)
    }

    @Test func `WAVE_FORMAT_EXTENSIBLE is parsed by its sub-format`() throws {
        let guid: [UInt8] = [1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]
        let wav = try WAVBytes().format(tag: 0xFFFE, extra: [22, 0, 16, 0, 4, 0, 0, 0] + guid).data(4).read()
        #expect(wav.format.codec == .pcm16)
        #expect(throws: WAVFault.encoding(0xFFFE)) {
            _ = try WAVBytes().format(tag: 0xFFFE, extra: [22, 0, 16, 0, 4, 0, 0, 0] + guid.dropLast() + [0]).data(4).read()
        }
        #expect(throws: WAVFault.formatTooShort(16)) { _ = try WAVBytes().format(tag: 0xFFFE).data(4).read() }
    }

    @Test func `the padding byte of a chunk with odd size is skipped`() throws {
        let wav = try WAVBytes().chunk("LIST", [1, 2, 3]).format().chunk("note", [9]).data(10).read()
        #expect(wav.dataOffset == 12 + 12 + 24 + 10 + 8)
        #expect(wav.dataCount == 10)
    }

    @Test func `chunks after the data are ignored`() throws {
        #expect(try WAVBytes().format().data(4).chunk("LIST", [1, 2], size: 99).read().dataCount == 4)
    }

    @Test(arguments: [0, 0xFFFF_FFFF, 0x7FFF_F000, 101] as [UInt32])
    func `streamed data extends to the end of the file, whatever the declared size`(size: UInt32) throws {
        #expect(try WAVBytes().format().data(100, size: size).read().dataCount == 100)
    }

    @Test func `an incomplete sample at the end is ignored`() throws {
        #expect(try WAVBytes().format(channels: 2).data(11).read().dataCount == 8)
        #expect(throws: WAVFault.empty) { _ = try WAVBytes().format(channels: 2).data(3).read() }
        #expect(throws: WAVFault.empty) { _ = try WAVBytes().format().data(0).read() }
    }

    @Test(arguments: [8000, 11025, 22050, 48000] as [UInt32])
    func `sample rates within the protocol's bounds are accepted`(rate: UInt32) throws {
        #expect(try WAVBytes().format(rate: rate).data(4).read().format.rate == Int(rate))
    }

    @Test(
        arguments: [
            (WAVBytes().format(rate: 7999), .rate(7999)),
            (WAVBytes().format(rate: 48001), .rate(48001)),
            (WAVBytes().format(rate: .max), .rate(Int(UInt32.max))),
            (WAVBytes().format(channels: 0, align: 2), .channels(0)),
            (WAVBytes().format(channels: 3), .channels(3)),
            (WAVBytes().format(bits: 8), .bitsPerSample(8, encoding: 1)),
            (WAVBytes().format(bits: 24), .bitsPerSample(24, encoding: 1)),
            (WAVBytes().format(tag: 7, bits: 16), .bitsPerSample(16, encoding: 7)),
            (WAVBytes().format(tag: 3, bits: 32), .encoding(3)),
            (WAVBytes().format(tag: 0x55), .encoding(0x55)),
            (WAVBytes().format(align: 4), .blockAlign(4, expected: 2)),
            (WAVBytes().format().format(), .formatTwice),
            (WAVBytes().chunk("fmt ", [UInt8](repeating: 0, count: 14)), .formatTooShort(14)),
            (WAVBytes().format(size: 0xFFFF_FFFF), .truncated),
            (WAVBytes().chunk("LIST", [1, 2], size: 0xFFFF_FFFE).format(), .truncated),
            (WAVBytes(), .formatMissing),
        ] as [(WAVBytes, WAVFault)])
    func `an unsupported file fails with the reason`(file: WAVBytes, fault: WAVFault) throws {
        #expect(throws: fault) { _ = try file.data(4, size: 4).read() }
    }

    @Test(
        arguments: [
            ("", .notRIFF), ("RIF", .notRIFF), ("OggS\0\0\0\0\0\0\0\0", .notRIFF), ("RIFF\0\0\0\0AVI ", .notRIFF),
            ("RIFF\0\0\0\0WAV", .notRIFF), ("RF64\0\0\0\0WAVE", .variant("RF64")), ("RIFX\0\0\0\0WAVE", .variant("RIFX")),
            ("RIFF\0\0\0\0WAVE", .formatMissing), ("RIFF\0\0\0\0WAVEfmt", .truncated),
        ] as [(String, WAVFault)])
    func `a file of another type is rejected`(text: String, fault: WAVFault) {
        var file = WAVBytes()
        file.bytes = Array(text.utf8)
        #expect(throws: fault) { _ = try file.read() }
    }

    @Test func `a file without data is rejected`() {
        #expect(throws: WAVFault.dataMissing) { _ = try WAVBytes().format().read() }
    }

    @Test func `the number of parsed chunks is limited`() throws {
        var file = WAVBytes().format()
        for _ in 0..<WAVFile.maximumChunks - 2 { file = file.chunk("junk", []) }
        #expect(try file.data(2).read().dataCount == 2)
        #expect(throws: WAVFault.tooManyChunks) { _ = try file.chunk("junk", []).data(2).read() }
    }

    @Test func `every prefix of a file is parsed or rejected`() {
        let whole = WAVBytes().chunk("LIST", [1, 2, 3]).format().data(8).bytes
        for count in 0..<whole.count {
            var file = WAVBytes()
            file.bytes = Array(whole.prefix(count))
            // A prefix with samples is parsed; a shorter one is rejected.
            if count >= whole.count - 6 {
                #expect(throws: Never.self) { _ = try file.read() }
            } else {
                #expect(throws: WAVFault.self) { _ = try file.read() }
            }
        }
    }

    @Test func `garbage at any position never traps`() {
        var generator = SeededGenerator(state: 42)
        let whole = WAVBytes().chunk("LIST", [1, 2, 3]).format().data(8).bytes
        for _ in 0..<5000 {
            var file = WAVBytes()
            file.bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: 0..<whole.count, using: &generator)
                file.bytes[index] = UInt8.random(in: .min ... .max, using: &generator)
            }
            if let wav = try? file.read() {
                #expect(wav.dataOffset + wav.dataCount <= file.bytes.count)
                #expect(wav.dataCount % wav.format.frameBytes == 0)
            }
        }
    }

    @Test(arguments: [AudioFormat.Codec.pcm16, .alaw, .mulaw], [1, 2])
    func `a written header can be parsed`(codec: AudioFormat.Codec, channels: Int) throws {
        let format = AudioFormat(codec: codec, rate: 24000, channels: channels)
        var file = WAVBytes()
        file.bytes = try #require(WAVFile.header(format, dataCount: 12)) + [UInt8](repeating: 0, count: 12)
        let wav = try file.read()
        #expect(wav.format == format)
        #expect(wav.dataCount == 12)
        #expect(wav.dataOffset + 12 == file.bytes.count)
    }

    @Test func `Opus has no header, and a large size doesn't overflow`() {
        #expect(WAVFile.header(AudioFormat(codec: .opus, rate: 48000, channels: 1), dataCount: 4) == nil)
        #expect(WAVFile.header(AudioFormat(codec: .mulaw, rate: 8000, channels: 1), dataCount: .max) != nil)
    }

    @Test func `chunks of 20 ms cover all samples exactly once`() {
        let wav = WAVFile(format: AudioFormat(codec: .pcm16, rate: 11025, channels: 2), dataOffset: 44, dataCount: 4 * 500)
        let bytes = wav.chunkBytes(milliseconds: 20)
        #expect(bytes == 220 * 4)
        #expect(wav.chunkCount(chunkBytes: bytes) == 3)
        #expect((1...3).map { wav.range(ofChunk: $0, chunkBytes: bytes) } == [44..<924, 924..<1804, 1804..<2044])
        #expect(wav.duration(ofBytes: 4 * 11025) == .seconds(1))
    }
}

/// A generator with the same numbers in every run.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("WAV stream") struct WAVStreamTests {
    private static func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    private static func chunk(_ id: String, _ data: [UInt8], size: UInt32? = nil) -> [UInt8] {
        let pad: [UInt8] = size == nil && data.count % 2 == 1 ? [0] : []
        return Array(id.utf8) + little(size ?? UInt32(data.count)) + data + pad
    }

    private static func format(
        tag: UInt16 = 1, channels: UInt16 = 1, rate: UInt32 = 22_050, bits: UInt16 = 16, align: UInt16? = nil, extra: [UInt8] = []
    ) -> [UInt8] {
        let align = align ?? channels * bits / 8
        let fields: [[UInt8]] = [
            little(tag), little(channels), little(rate), little(rate &* UInt32(align)), little(align), little(bits), extra,
        ]
        return chunk("fmt ", fields.flatMap { $0 })
    }

    /// A file up to its samples.
    private static func file(_ format: [UInt8] = format(), before: [UInt8] = [], data: UInt32, riff: String = "RIFF") -> [UInt8] {
        let parts: [[UInt8]] = [Array(riff.utf8), little(UInt32.max), Array("WAVE".utf8), before, format, chunk("data", [], size: data)]
        return parts.flatMap { $0 }
    }

    private func read(_ bytes: [UInt8], cutEvery size: Int = .max) throws -> (formats: [AudioFormat], samples: [UInt8]) {
        var stream = WAVStream()
        var formats: [AudioFormat] = []
        var samples: [UInt8] = []
        func collect(_ piece: WAVStream.Piece) {
            switch piece {
            case .format(let format): formats.append(format)
            case .samples(let part):
                #expect(!part.isEmpty && part.count % (formats.last?.frameBytes ?? 1) == 0)
                samples += part
            }
        }
        var offset = 0
        while offset < bytes.count {
            let end = min(bytes.count, offset + min(size, bytes.count))
            try Array(bytes[offset..<end]).withRawSpanThrowing { (span) throws(ResponseFault) in try stream.receive(span) { collect($0) } }
            offset = end
        }
        stream.finish { collect($0) }
        return (formats, samples)
    }

    private static let sound = (0..<9000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    private static let cuts = [1, 7, 100, 100_000]

    @Test(
        arguments: cuts,
        [9000, 0, 1_000_000, 2_000_000_000, 2_000_000_001, 0x7FFF_FFFF, 0x7FFF_FFFE, 0xFFFF_FFFE, 0xFFFF_FFFF, 9001] as [UInt32])
    func `a file ends with its body, whatever length its header declares`(size: Int, declared: UInt32) throws {
        let (formats, samples) = try read(
            Self.file(before: Self.chunk("LIST", [UInt8](repeating: 7, count: 9)), data: declared) + Self.sound, cutEvery: size)
        #expect(formats == [AudioFormat(codec: .pcm16, rate: 22_050, channels: 1)])
        #expect(samples == Self.sound)
    }

    @Test(arguments: [1, 8998, 8999])
    func `only whole frames are emitted, even if the body ends within a frame`(count: Int) throws {
        let sound = Array(Self.sound[..<count])
        for size in Self.cuts { #expect(try read(Self.file(data: 0) + sound, cutEvery: size).samples == Array(sound[..<(count / 2 * 2)])) }
        let stereo = try read(Self.file(Self.format(channels: 2), data: 0xFFFF_FFFF) + sound, cutEvery: 3)
        #expect(stereo.samples == Array(sound[..<(count / 4 * 4)]))
    }

    @Test(arguments: [0, 1, 4096, 5001, 3_000_000])
    func `chunks of any length before the samples are skipped`(length: Int) throws {
        let before = Self.chunk("JUNK", [UInt8](repeating: 0x41, count: length)) + Self.chunk("LIST", Array("data".utf8))
        #expect(try read(Self.file(before: before, data: 4) + [1, 2, 3, 4], cutEvery: 4001).samples == [1, 2, 3, 4])
        let many = (0..<500).flatMap { _ in Self.chunk("fact", [0, 0, 0, 0]) }
        #expect(try read(Self.file(before: many, data: 4) + [1, 2, 3, 4], cutEvery: 33).samples == [1, 2, 3, 4])
    }

    @Test func `data after the samples isn't audio`() throws {
        #expect(
            try read(Self.file(data: 4) + [1, 2, 3, 4] + Self.chunk("LIST", Array("INFO a RIFF and a WAVE".utf8)), cutEvery: 5).samples == [
                1, 2, 3, 4,
            ])
        #expect(try read(Self.file(data: 3) + [1, 2, 3, 0, 5, 6]).samples == [1, 2])
    }

    @Test(arguments: cuts, [0, 9000, 0x7FFF_FFFF, 2_000_000_000] as [UInt32])
    func `concatenated files form one audio stream`(size: Int, declared: UInt32) throws {
        let one = Self.file(before: Self.chunk("LIST", [1, 2, 3]), data: declared) + Self.sound
        let (formats, samples) = try read(one + one + Self.chunk("LIST", [9]) + one, cutEvery: size)
        #expect(formats.count == 1)
        // A chunk after samples of unknown length can't be distinguished from samples.
        let tail = declared == 9000 ? [] : Array(Self.chunk("LIST", [9]))
        #expect(samples == Self.sound + Self.sound + tail + Self.sound)
    }

    @Test func `a partial frame at the end of a file isn't completed by the next file`() throws {
        let one = Self.file(data: 0) + [1, 2, 3]
        #expect(try read(one + one, cutEvery: 2).samples == [1, 2, 1, 2])
    }

    @Test func `another format begins another audio stream`() throws {
        let (formats, samples) = try read(
            Self.file(data: 2) + [1, 2] + Self.file(Self.format(tag: 7, rate: 8000, bits: 8), data: 2) + [3, 4], cutEvery: 9)
        #expect(formats.map(\.codec) == [.pcm16, .mulaw] && samples == [1, 2, 3, 4])
    }

    @Test func `samples that resemble a header remain samples`() throws {
        for text in ["RIFFxxxxWAVX", "RIF", "RIFFRIFFRIFFRIFF", "RRRRIFF0", "RIFF1234WAV", "BW64", "RF64abcdWAV!"] {
            let sound = [1, 2] + Array(text.utf8) + (text.utf8.count % 2 == 1 ? [3] : [])
            for size in [1, 2, 5, 1000] { #expect(try read(Self.file(data: 0) + sound, cutEvery: size).samples == sound) }
        }
    }

    private static func pcm(_ samples: [Int16]) -> [UInt8] { samples.flatMap { little($0) } }

    @Test func `floating point becomes 16 bits, clipped; NaN becomes silence`() throws {
        let floats: [Float] = [0, 1, -1, 0.5, -0.5, 2, -2, .infinity, -.infinity, .nan, 1e-9, 0.25]
        let expected = Self.pcm([0, 32767, -32768, 16384, -16384, 32767, -32768, 32767, -32768, 0, 0, 8192])
        let single = Self.file(Self.format(tag: 3, bits: 32), data: 0) + floats.flatMap { Self.little($0.bitPattern) }
        let double = Self.file(Self.format(tag: 3, bits: 64), data: 0) + floats.flatMap { Self.little(Double($0).bitPattern) }
        for size in [1, 5, 1000] {
            for file in [single, double] {
                let (formats, samples) = try read(file + [0, 0], cutEvery: size)
                #expect(formats == [AudioFormat(codec: .pcm16, rate: 22_050, channels: 1)])
                #expect(samples == expected)
            }
        }
    }

    @Test func `24, 32 and 8 bits become 16`() throws {
        let wide: [(value: Int32, pcm: Int16)] = [
            (0, 0), (0x7F_FFFF, 0x7FFF), (-0x80_0000, -0x8000), (-1, -1), (0x1234_56, 0x1234), (255, 0),
        ]
        let expected = Self.pcm(wide.map(\.pcm))
        let data24 = wide.flatMap { Array(Self.little($0.value)[..<3]) }
        #expect(try read(Self.file(Self.format(bits: 24), data: 0) + data24, cutEvery: 4).samples == expected)
        let data32 = wide.flatMap { Self.little($0.value << 8) }
        #expect(try read(Self.file(Self.format(bits: 32), data: 0) + data32, cutEvery: 3).samples == expected)
        // 24 bits in a 32-bit container.
        #expect(try read(Self.file(Self.format(bits: 24, align: 4), data: 0) + data32, cutEvery: 3).samples == expected)
        #expect(
            try read(Self.file(Self.format(bits: 8), data: 0) + [0, 127, 128, 129, 255], cutEvery: 2).samples
                == Self.pcm([-32768, -256, 0, 256, 32512]))
        let stereo = try read(Self.file(Self.format(channels: 2, bits: 24), data: 0) + [0, 0, 1, 0, 0, 2, 0, 0, 3], cutEvery: 1)
        #expect(stereo.samples == Self.pcm([256, 512]) && stereo.formats.first?.channels == 2)
    }

    @Test(arguments: [(3, 32), (1, 16), (1, 24)] as [(UInt16, UInt16)])
    func `an extensible format has its tag in the GUID`(tag: UInt16, bits: UInt16) throws {
        let tail: [UInt8] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]
        let extra: [UInt8] = [Self.little(UInt16(22)), Self.little(bits), Self.little(UInt32(4)), Self.little(tag), tail].flatMap { $0 }
        let file = Self.file(Self.format(tag: 0xFFFE, bits: bits, extra: extra), data: 0) + [UInt8](repeating: 0, count: 48)
        #expect(try read(file, cutEvery: 11).samples.count == 48 * 2 / Int(bits / 8))
    }

    @Test(arguments: [1, 4000, 7350, 96_000, 192_000, 768_000] as [UInt32])
    func `unusual sample rates are passed through`(rate: UInt32) throws {
        #expect(try read(Self.file(Self.format(rate: rate), data: 0) + [1, 2]).formats.map(\.rate) == [Int(rate)])
    }

    @Test(arguments: ["RF64", "BW64"])
    func `RF64 and BW64 files are parsed like RIFF`(riff: String) throws {
        let file = Self.file(before: Self.chunk("ds64", [UInt8](repeating: 0, count: 28)), data: 0xFFFF_FFFF, riff: riff)
        #expect(try read(file + [1, 2], cutEvery: 6).samples == [1, 2])
    }

    @Test func `G.711 is passed through`() throws {
        #expect(
            try read(Self.file(Self.format(tag: 7, channels: 2, rate: 8000, bits: 8), data: 2) + [1, 2]).formats.first?.codec == .mulaw)
        #expect(try read(Self.file(Self.format(tag: 6, rate: 8000, bits: 8), data: 2) + [1, 2]).samples == [1, 2])
    }

    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static let rejected: [[UInt8]] = [
        file(format(rate: 0), data: 2), file(format(rate: 768_001), data: 2), file(format(channels: 3), data: 2),
        file(format(channels: 0), data: 2), file(format(tag: 2, bits: 4), data: 2), file(format(tag: 85, bits: 0), data: 2),
        file(format(tag: 3, bits: 16), data: 2), file(format(tag: 7, bits: 16), data: 2), file(chunk("fmt ", [1, 0]), data: 2),
        file([], data: 2), text("ID3 this is no WAV file"), text(#"{"error":"not today"}"#), text("RIFX0000WAVE"),
    ]

    @Test(arguments: rejected)
    func `unsupported files are rejected`(bytes: [UInt8]) {
        for size in [1, 100] { #expect(throws: ResponseFault.self) { _ = try read(bytes + [1, 2], cutEvery: size) } }
    }

    @Test func `no format is emitted before the data chunk`() throws {
        #expect(try read([]).formats.isEmpty)
        #expect(try read(Array(Self.file(data: 0).dropLast(8))).formats.isEmpty)
        #expect(try read(Self.file(data: 0)).formats.count == 1)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The sample format of a WAV file and its conversion for clients: 16-bit PCM and G.711 are passed through; other PCM and floating point
/// become 16-bit PCM.
struct WAVEncoding: Sendable {
    private enum Sample: Sendable {
        case passthrough(AudioFormat.Codec)
        case unsigned8, signed24, signed32, float32, float64
    }

    /// The accepted sample rates. Clients get the rate in `format`, and determine whether they can play it.
    private static let rates = 1...768_000

    /// The format that clients receive.
    let format: AudioFormat
    /// The size in bytes of one frame (a sample of each channel) in the file.
    let frameBytes: Int
    private let sample: Sample

    /// - Parameter chunk: the first 40 bytes of a `fmt ` chunk, at least 16
    init(_ chunk: ArraySlice<UInt8>) throws(ResponseFault) {
        let bytes = Array(chunk)
        var tag = bytes.littleEndian(at: 0, bytes: 2)
        // In an extensible format the tag is the first field of a GUID; without the GUID, PCM is assumed.
        if tag == 0xFFFE { tag = bytes.count >= 40 ? bytes.littleEndian(at: 24, bytes: 2) : 1 }
        let channels = bytes.littleEndian(at: 2, bytes: 2)
        let rate = bytes.littleEndian(at: 4, bytes: 4)
        guard AudioFormat.channelCounts.contains(channels), Self.rates.contains(rate) else {
            throw ResponseFault("the WAV file's sample rate or channel count isn't supported")
        }
        // A sample may have fewer bits than its container; it is left-aligned then.
        let (align, bits) = (bytes.littleEndian(at: 12, bytes: 2), bytes.littleEndian(at: 14, bytes: 2))
        let size = align % channels == 0 && align / channels * 8 >= max(bits, 1) ? align / channels : (bits + 7) / 8
        switch (tag, size) {
        case (1, 1): sample = .unsigned8
        case (1, 2): sample = .passthrough(.pcm16)
        case (1, 3): sample = .signed24
        case (1, 4): sample = .signed32
        case (3, 4): sample = .float32
        case (3, 8): sample = .float64
        case (6, 1): sample = .passthrough(.alaw)
        case (7, 1): sample = .passthrough(.mulaw)
        default: throw ResponseFault("the WAV file is neither PCM, floating point nor G.711")
        }
        frameBytes = size * channels
        let codec: AudioFormat.Codec = if case .passthrough(let codec) = sample { codec } else { .pcm16 }
        format = AudioFormat(codec: codec, rate: rate, channels: channels)
    }

    /// Converts whole frames.
    func convert(_ bytes: [UInt8]) -> [UInt8] {
        switch sample {
        case .passthrough: bytes
        // 8-bit WAV samples are unsigned, with silence at 128.
        case .unsigned8: Self.convert(bytes, size: 1) { Int16((Int($0) - 128) << 8) }
        case .signed24: Self.convert(bytes, size: 3) { Int16(truncatingIfNeeded: $0 >> 8) }
        case .signed32: Self.convert(bytes, size: 4) { Int16(truncatingIfNeeded: $0 >> 16) }
        case .float32: Self.convert(bytes, size: 4) { Self.integer(Double(Float(bitPattern: UInt32(truncatingIfNeeded: $0)))) }
        case .float64: Self.convert(bytes, size: 8) { Self.integer(Double(bitPattern: $0)) }
        }
    }

    private static func convert(_ bytes: [UInt8], size: Int, _ sample: (UInt64) -> Int16) -> [UInt8] {
        var converted: [UInt8] = []
        converted.reserveCapacity(bytes.count / size * 2)
        var offset = 0
        while offset + size <= bytes.count {
            var value: UInt64 = 0
            for index in (0..<size).reversed() { value = value << 8 | UInt64(bytes[offset + index]) }
            let integer = UInt16(bitPattern: sample(value))
            converted.append(UInt8(truncatingIfNeeded: integer))
            converted.append(UInt8(truncatingIfNeeded: integer >> 8))
            offset += size
        }
        return converted
    }

    /// Converts a sample from −1 to 1. Other values are clipped; NaN becomes silence.
    private static func integer(_ value: Double) -> Int16 {
        guard !value.isNaN else { return 0 }
        return Int16(min(max((value * 32768).rounded(), -32768), 32767))
    }
}

extension [UInt8] {
    /// Returns a little-endian number of at most seven bytes, which must be within the array.
    func littleEndian(at offset: Int, bytes count: Int) -> Int {
        (0..<count).reversed().reduce(0) { $0 << 8 | Int(self[offset + $1]) }
    }
}

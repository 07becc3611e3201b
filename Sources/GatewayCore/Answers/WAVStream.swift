/// Reads a WAV file as its bytes come: what the sound is, then the sound. The length in the header isn't believed: who streams doesn't know it.
package struct WAVStream: Sendable {
    private enum State: Sendable {
        case riff, chunks
        case samples
        /// Behind the samples.
        case rest
    }

    /// A header is no longer than this, whatever it holds besides.
    static let longestHeader = 4096

    package private(set) var format: AudioFormat?
    private var state = State.riff
    private var header: [UInt8] = []
    /// Bytes of samples that the header announces and that haven't come.
    private var left = UInt32.max
    /// Bytes of a sample whose rest is still to come.
    private var cut: [UInt8] = []

    package init() {}

    /// Less has come than the header says, where it says something.
    package var isCut: Bool { left != .max && left > 0 }

    /// - Returns: whole samples of all channels; empty as long as there are none.
    package mutating func take(_ bytes: RawSpan) throws(AnswerFault) -> [UInt8] {
        var bytes = bytes
        var input: [UInt8] = []
        if state == .riff || state == .chunks {
            header.append(bytesOf: bytes)
            let samples = try readHeader()
            // However it is cut into pieces.
            guard samples ?? header.count <= Self.longestHeader else {
                throw AnswerFault("the WAV file has no samples in its first \(Self.longestHeader) bytes")
            }
            guard let samples else { return [] }
            input = Array(header[samples...])
            header = []
            bytes = RawSpan()
        }
        guard state == .samples, let frame = format?.frameBytes else { return [] }
        input.append(bytesOf: bytes)
        if input.count > Int(left) { input.removeLast(input.count - Int(left)) }
        if left != .max { left -= UInt32(input.count) }
        if left == 0 { state = .rest }
        var whole = cut + input
        let odd = whole.count % frame
        cut = Array(whole.suffix(odd))
        whole.removeLast(odd)
        return whole
    }

    /// - Returns: where the samples begin; nil when more is needed.
    private mutating func readHeader() throws(AnswerFault) -> Int? {
        guard header.count >= 12 else { return nil }
        guard header[0..<4].elementsEqual("RIFF".utf8), header[8..<12].elementsEqual("WAVE".utf8) else {
            throw AnswerFault("the sound isn't a WAV file")
        }
        state = .chunks
        var offset = 12
        while header.count - offset >= 8 {
            let size = number(at: offset + 4, bytes: 4)
            if header[offset..<offset + 4].elementsEqual("data".utf8) {
                guard format != nil else { throw AnswerFault("the WAV file has no format before its samples") }
                // 0 and the largest numbers are what those write who don't know.
                left = size == 0 || size >= 0x7FFF_0000 ? .max : UInt32(size)
                state = .samples
                return offset + 8
            }
            guard size <= Self.longestHeader, header.count - offset - 8 >= size + size % 2 else {
                guard size <= Self.longestHeader else { throw AnswerFault("a part of the WAV file's header is too long") }
                return nil
            }
            if header[offset..<offset + 4].elementsEqual("fmt ".utf8) { format = try readFormat(at: offset + 8, size: size) }
            offset += 8 + size + size % 2
        }
        return nil
    }

    private func readFormat(at offset: Int, size: Int) throws(AnswerFault) -> AudioFormat {
        guard size >= 16 else { throw AnswerFault("the WAV file's format is too short") }
        let (tag, channels, rate, bits) = (
            number(at: offset, bytes: 2), number(at: offset + 2, bytes: 2), number(at: offset + 4, bytes: 4),
            number(at: offset + 14, bytes: 2)
        )
        let codec: AudioFormat.Codec
        switch (tag, bits) {
        case (1, 16), (0xFFFE, 16): codec = .pcm16
        case (6, 8): codec = .alaw
        case (7, 8): codec = .mulaw
        default: throw AnswerFault("the WAV file is neither 16-bit PCM nor G.711")
        }
        guard AudioFormat.rates.contains(rate), AudioFormat.channelCounts.contains(channels) else {
            throw AnswerFault("the WAV file's rate or number of channels isn't one of the protocol's")
        }
        return AudioFormat(codec: codec, rate: rate, channels: channels)
    }

    /// Little-endian. The bytes are there.
    private func number(at offset: Int, bytes count: Int) -> Int {
        (0..<count).reversed().reduce(0) { $0 << 8 | Int(header[offset + $1]) }
    }
}

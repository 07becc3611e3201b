/// Why a file isn't a recording that can be sent.
package enum WAVFault: Error, Sendable, Hashable {
    case notRIFF
    /// `RF64` and `RIFX`, files over 4 GiB and big-endian ones.
    case variant(String)
    case truncated
    /// More chunks than any recording has.
    case tooManyChunks
    case formatMissing
    case formatTwice
    case formatTooShort(Int)
    /// A format tag that isn't PCM, A-law or µ-law.
    case encoding(UInt16)
    case bitsPerSample(Int, encoding: UInt16)
    case channels(Int)
    case rate(Int)
    case blockAlign(Int, expected: Int)
    case dataMissing
    case empty
    /// With the system's reason.
    case unreadable(String)
}

extension WAVFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notRIFF: "not a WAV file"
        case .variant(let name): "a \(name) file; plain RIFF/WAVE is needed"
        case .truncated: "the WAV file ends in the middle of a chunk"
        case .tooManyChunks: "the WAV file has over \(WAVFile.maximumChunks) chunks"
        case .formatMissing: "the WAV file has no fmt chunk before its data"
        case .formatTwice: "the WAV file has two fmt chunks"
        case .formatTooShort(let count): "the WAV file's fmt chunk has \(count) bytes; 16 are the least"
        case .encoding(let tag): "the WAV file's encoding is \(Self.name(tag)); 16-bit PCM, A-law and µ-law can be sent"
        case .bitsPerSample(let bits, let tag):
            "the WAV file has \(bits) bits a sample; \(Self.name(tag)) needs \(tag == WAVFile.pcmTag ? 16 : 8)"
        case .channels(let count): "the WAV file has \(count) channels; 1 or 2 can be sent"
        case .rate(let rate): "the WAV file has \(rate) samples a second; 8000 to 48000 can be sent"
        case .blockAlign(let bytes, let expected):
            "the WAV file says that a sample of all channels has \(bytes) bytes, but it has \(expected)"
        case .dataMissing: "the WAV file has no data chunk"
        case .empty: "the WAV file holds no sound"
        case .unreadable(let reason): "can't be read: \(reason)"
        }
    }

    private static func name(_ tag: UInt16) -> String {
        switch tag {
        case 1: "PCM"
        case 2: "Microsoft ADPCM"
        case 3: "floating point"
        case 6: "A-law"
        case 7: "µ-law"
        case 0x11: "IMA ADPCM"
        case 0x55: "MP3"
        default: "number \(tag)"
        }
    }
}

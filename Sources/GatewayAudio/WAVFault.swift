// SPDX-License-Identifier: Apache-2.0

/// The reason a WAV file can't be sent.
package enum WAVFault: Error, Sendable, Hashable {
    case notRIFF
    /// `RF64`, `BW64` (files over 4 GiB) or `RIFX` (big-endian).
    case variant(String)
    case truncated
    /// More than ``WAVFile/maximumChunks`` chunks.
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
    /// The file can't be read, for the system's reason.
    case unreadable(String)
}

extension WAVFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notRIFF: "not a WAV file"
        case .variant(let name): "\(name) files aren't supported; convert the file to RIFF/WAVE"
        case .truncated: "the WAV file is truncated"
        case .tooManyChunks: "the WAV file has more than \(WAVFile.maximumChunks) chunks"
        case .formatMissing: "the WAV file has no fmt chunk before its data"
        case .formatTwice: "the WAV file has two fmt chunks"
        case .formatTooShort(let count): "the WAV file's fmt chunk is too short (\(count) bytes)"
        case .encoding(let tag): "the WAV file's encoding is \(Self.name(tag)); supported are 16-bit PCM, A-law and µ-law"
        case .bitsPerSample(let bits, let tag):
            "the WAV file has \(bits) bits per sample; \(Self.name(tag)) requires \(tag == WAVFile.pcmTag ? 16 : 8)"
        case .channels(let count): "the WAV file has \(count) channels; supported are 1 and 2"
        case .rate(let rate): "the WAV file's sample rate is \(rate) Hz; supported are 8000 to 48000 Hz"
        case .blockAlign(let bytes, let expected):
            "the WAV file's block alignment is \(bytes) bytes instead of \(expected)"
        case .dataMissing: "the WAV file has no data chunk"
        case .empty: "the WAV file contains no audio"
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

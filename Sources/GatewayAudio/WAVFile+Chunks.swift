// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// Splitting of a recording into the chunks of an audio stream.
extension WAVFile {
    /// Returns the number of bytes in `milliseconds` of audio, at least one sample of all channels.
    package func chunkBytes(milliseconds: Int) -> Int {
        max(1, format.rate * milliseconds / 1000) * format.frameBytes
    }

    /// Returns the duration of `count` bytes.
    package func duration(ofBytes count: Int) -> Duration {
        .nanoseconds(Int64(count / format.frameBytes) * 1_000_000_000 / Int64(format.rate))
    }

    /// Returns the number of chunks of `chunkBytes`; the last one may be shorter.
    package func chunkCount(chunkBytes: Int) -> Int {
        (dataCount + chunkBytes - 1) / chunkBytes
    }

    /// Returns the range of chunk `number` in the file, counted from 1.
    package func range(ofChunk number: Int, chunkBytes: Int) -> Range<Int> {
        let start = min((number - 1) * chunkBytes, dataCount)
        return dataOffset + start..<dataOffset + min(start + chunkBytes, dataCount)
    }

    /// Returns the header of a WAV file, up to its samples.
    ///
    /// - Parameter dataCount: the size of the samples in bytes, clamped to the maximum of the 32-bit fields
    /// - Returns: nil for a codec that WAV files don't support.
    package static func header(_ format: AudioFormat, dataCount: Int) -> [UInt8]? {
        let tag: UInt16
        switch format.codec {
        case .pcm16: tag = pcmTag
        case .alaw: tag = alawTag
        case .mulaw: tag = mulawTag
        case .opus, .oggOpus, .webmOpus, .mp4AAC: return nil
        }
        let isPCM = tag == pcmTag
        // All encodings except PCM need the size of an extension and a chunk with the number of samples.
        let formatSize = isPCM ? 16 : 18
        let overhead = 4 + 8 + formatSize + (isPCM ? 0 : 12) + 8
        let size = UInt32(clamping: min(dataCount, Int(UInt32.max) - overhead - 1))
        var bytes = Array("RIFF".utf8)
        append(UInt32(overhead) + size + size % 2, to: &bytes)
        bytes += "WAVEfmt ".utf8
        append(UInt32(formatSize), to: &bytes)
        append(tag, to: &bytes)
        append(UInt16(format.channels), to: &bytes)
        append(UInt32(format.rate), to: &bytes)
        append(UInt32(format.rate * format.frameBytes), to: &bytes)
        append(UInt16(format.frameBytes), to: &bytes)
        append(UInt16(isPCM ? 16 : 8), to: &bytes)
        if !isPCM {
            append(UInt16(0), to: &bytes)
            bytes += "fact".utf8
            append(UInt32(4), to: &bytes)
            append(size / UInt32(format.frameBytes), to: &bytes)
        }
        bytes += "data".utf8
        append(size, to: &bytes)
        return bytes
    }

    private static func append<Number: FixedWidthInteger>(_ number: Number, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
    }
}

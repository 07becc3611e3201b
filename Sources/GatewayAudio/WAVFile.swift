// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The format and location of the samples of a RIFF/WAVE file.
///
/// The parser reads only the first bytes of each chunk and skips the rest, whatever its declared size.
package struct WAVFile: Sendable, Hashable {
    /// The maximum number of chunks, including the data chunk.
    package static let maximumChunks = 64
    static let pcmTag: UInt16 = 1
    static let alawTag: UInt16 = 6
    static let mulawTag: UInt16 = 7
    private static let extensibleTag: UInt16 = 0xFFFE

    package var format: AudioFormat
    /// The offset of the samples in the file, in bytes.
    package var dataOffset: Int
    /// The size of the samples in bytes, a multiple of ``AudioFormat/frameBytes``.
    package var dataCount: Int

    package init(format: AudioFormat, dataOffset: Int, dataCount: Int) {
        self.format = format
        self.dataOffset = dataOffset
        self.dataCount = dataCount
    }

    /// - Parameters:
    ///   - fileSize: the size of the file in bytes.
    ///   - bytes: reads `count` bytes at `offset`, fewer at the end of the file. `count` is at most 40.
    package init(fileSize: Int, bytes read: (_ offset: Int, _ count: Int) throws(WAVFault) -> [UInt8]) throws(WAVFault) {
        let head = try read(0, 12)
        guard head.count >= 4 else { throw .notRIFF }
        switch Self.name(head, at: 0) {
        case "RIFF": break
        case "RF64", "RIFX", "BW64": throw .variant(Self.name(head, at: 0))
        default: throw .notRIFF
        }
        guard head.count == 12, Self.name(head, at: 8) == "WAVE" else { throw .notRIFF }

        var format: AudioFormat?
        var offset = 12
        for _ in 0..<Self.maximumChunks {
            let header = try read(offset, 8)
            guard header.count == 8 else {
                throw header.isEmpty ? (format == nil ? .formatMissing : .dataMissing) : .truncated
            }
            let size = Int(Self.integer32(header, at: 4))
            let start = offset + 8
            let left = max(0, fileSize - start)
            switch Self.name(header, at: 0) {
            case "data":
                guard let format else { throw .formatMissing }
                // A program that writes to a pipe doesn't know the size and may declare 0 or too much: the file's size limits the data.
                let count = min(size == 0 ? left : size, left)
                let whole = count - count % format.frameBytes
                guard whole > 0 else { throw .empty }
                self.init(format: format, dataOffset: start, dataCount: whole)
                return
            case "fmt ":
                guard format == nil else { throw .formatTwice }
                guard size <= left else { throw .truncated }
                format = try Self.format(try read(start, min(size, 40)), size: size)
            default:
                guard size <= left else { throw .truncated }
            }
            // Chunks begin at even offsets; the padding byte isn't part of the size.
            offset = start + size + size % 2
        }
        throw .tooManyChunks
    }

    private static func format(_ bytes: [UInt8], size: Int) throws(WAVFault) -> AudioFormat {
        guard size >= 16 else { throw .formatTooShort(size) }
        guard bytes.count == min(size, 40) else { throw .truncated }
        var tag = integer16(bytes, at: 0)
        if tag == extensibleTag {
            guard bytes.count == 40 else { throw .formatTooShort(size) }
            // The rest of the GUID is the same for all format tags; any other GUID is a different encoding.
            guard bytes[26...].elementsEqual(Self.guidTail) else { throw .encoding(tag) }
            tag = integer16(bytes, at: 24)
        }
        let codec: AudioFormat.Codec
        switch tag {
        case pcmTag: codec = .pcm16
        case alawTag: codec = .alaw
        case mulawTag: codec = .mulaw
        default: throw .encoding(tag)
        }
        let bits = Int(integer16(bytes, at: 14))
        guard bits == (codec == .pcm16 ? 16 : 8) else { throw .bitsPerSample(bits, encoding: tag) }
        let channels = Int(integer16(bytes, at: 2))
        guard AudioFormat.channelCounts.contains(channels) else { throw .channels(channels) }
        let rate = Int(integer32(bytes, at: 4))
        guard AudioFormat.rates.contains(rate) else { throw .rate(rate) }
        let format = AudioFormat(codec: codec, rate: rate, channels: channels)
        let align = Int(integer16(bytes, at: 12))
        guard align == format.frameBytes else { throw .blockAlign(align, expected: format.frameBytes) }
        return format
    }

    /// `0000-0010-8000-00AA00389B71`, as stored in the file after the two bytes of the tag.
    private static let guidTail: [UInt8] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]

    private static func name(_ bytes: [UInt8], at offset: Int) -> String {
        String(decoding: bytes[offset..<offset + 4], as: UTF8.self)
    }

    private static func integer16(_ bytes: [UInt8], at offset: Int) -> UInt16 {
        UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8
    }

    private static func integer32(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        UInt32(integer16(bytes, at: offset)) | UInt32(integer16(bytes, at: offset + 2)) << 16
    }
}

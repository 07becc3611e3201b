// SPDX-License-Identifier: Apache-2.0

import GatewayAudio

/// A builder of WAV files, valid or not.
struct WAVBytes {
    var bytes: [UInt8] = []

    /// The first twelve bytes of every WAV file.
    init(riff: String = "RIFF", wave: String = "WAVE") {
        bytes = Array(riff.utf8) + [0, 0, 0, 0] + Array(wave.utf8)
    }

    /// Appends a chunk, padded to an even length.
    ///
    /// - Parameter size: the declared size; nil for the actual size
    func chunk(_ name: String, _ content: [UInt8], size: UInt32? = nil, padded: Bool = true) -> WAVBytes {
        var copy = self
        copy.bytes += Array(name.utf8) + Self.little(size ?? UInt32(content.count)) + content
        if padded, content.count % 2 == 1 { copy.bytes.append(0) }
        return copy
    }

    func format(
        tag: UInt16 = 1, channels: UInt16 = 1, rate: UInt32 = 16000, bits: UInt16 = 16, align: UInt16? = nil, extra: [UInt8] = [],
        size: UInt32? = nil
    ) -> WAVBytes {
        let align = align ?? UInt16(clamping: UInt32(channels) * UInt32(bits) / 8)
        let content =
            Self.little(tag) + Self.little(channels) + Self.little(rate) + Self.little(rate &* UInt32(align)) + Self.little(align)
            + Self.little(bits) + extra
        return chunk("fmt ", content, size: size)
    }

    func data(_ count: Int, size: UInt32? = nil) -> WAVBytes {
        chunk("data", [UInt8](repeating: 7, count: count), size: size, padded: false)
    }

    func read() throws(WAVFault) -> WAVFile {
        let bytes = bytes
        return try WAVFile(
            fileSize: bytes.count,
            bytes: { (offset, count) in
                guard offset < bytes.count else { return [] }
                return Array(bytes[offset..<min(offset + count, bytes.count)])
            })
    }

    static func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        (0..<Number.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import CZlib
import NIOCore

/// The compressor for the messages of one direction (RFC 7692 §7.2.1).
final class Deflater {
    private let stream: ZlibStream
    private let keepsContext: Bool

    /// - Parameters:
    ///   - windowBits: the negotiated window size, 9–15; zlib can't create a raw stream with 8.
    ///   - keepsContext: whether messages may refer to previous ones.
    ///   - memoryCeiling: the limit on zlib's allocations, in bytes.
    init?(windowBits: Int, keepsContext: Bool, memoryCeiling: Int = .max) {
        guard (9...15).contains(windowBits) else { return nil }
        guard
            let stream = ZlibStream(
                memoryCeiling: memoryCeiling,
                start: { parley_deflateInit2($0, Self.level, -Int32(windowBits), Self.memoryLevel) },
                end: { deflateEnd($0) })
        else { return nil }
        self.stream = stream
        self.keepsContext = keepsContext
    }

    /// The fastest level: on JSON the next levels save 2 to 4 % more but take 50 % longer.
    private static let level: Int32 = 1
    /// For typical message sizes the default of 8 compresses no better, needs 110 KB more, and takes longer to reset between messages.
    private static let memoryLevel: Int32 = 5

    /// The bytes that zlib has allocated.
    var byteCount: Int { stream.byteCount }

    /// Appends the deflated message, without the trailing 00 00 FF FF, if it is smaller than the message.
    ///
    /// - Returns: false if it isn't smaller. Then `output` is unchanged, and no later message refers to this one, so it can be sent
    ///   uncompressed.
    func deflate(_ message: RawSpan, into output: inout ByteBuffer) -> Bool {
        let count = message.byteCount
        guard count > 0, count <= WebSocketLimits.ceiling else { return false }
        let z = stream.pointer
        let start = output.writerIndex
        // A result that fills this space isn't smaller than the message, even without its last four bytes.
        let space = count + 4
        var isWhole = false
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: space) { target in
            message.withUnsafeBytes { bytes in
                z.pointee.next_in = UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
                z.pointee.avail_in = UInt32(clamping: count)
                z.pointee.next_out = target.assumingMemoryBound(to: UInt8.self).baseAddress
                z.pointee.avail_out = UInt32(clamping: space)
                let status = CZlib.deflate(z, Z_SYNC_FLUSH)
                isWhole = status == Z_OK && z.pointee.avail_in == 0 && z.pointee.avail_out > 0
                z.pointee.next_in = nil
                z.pointee.next_out = nil
            }
            return space - Int(z.pointee.avail_out)
        }
        let produced = output.writerIndex - start
        let isSmaller = isWhole && produced > 4
        if !keepsContext || !isSmaller { deflateReset(z) }
        output.moveWriterIndex(to: isSmaller ? output.writerIndex - 4 : start)
        return isSmaller
    }
}

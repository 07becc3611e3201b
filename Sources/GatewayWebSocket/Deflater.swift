import CZlib
import NIOCore

/// Deflates the messages of one direction (RFC 7692 §7.2.1).
final class Deflater {
    private let stream: ZlibStream
    private let keepsContext: Bool

    /// - Parameters:
    ///   - windowBits: what was agreed on, 9–15; zlib can't make a raw stream for 8.
    ///   - keepsContext: whether messages refer to the ones before.
    ///   - memoryCeiling: bytes that zlib may allocate.
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

    /// The fastest: on JSON the next levels save 2 to 4 bytes of a hundred for half as much time again.
    private static let level: Int32 = 1
    /// On messages of our sizes the default of 8 compresses no better, takes 110 KB more, and has more to clear between messages.
    private static let memoryLevel: Int32 = 5

    /// Bytes that zlib holds.
    var byteCount: Int { stream.byteCount }

    /// Appends the deflated message, without the trailing 00 00 FF FF, when it is smaller than the message.
    ///
    /// - Returns: false when it isn't; `output` is as it was then, and no later message refers to this one, so it can be sent plain.
    func deflate(_ message: RawSpan, into output: inout ByteBuffer) -> Bool {
        let count = message.byteCount
        guard count > 0, count <= WebSocketLimits.ceiling else { return false }
        let z = stream.pointer
        let start = output.writerIndex
        // A result that would fill this space isn't smaller once its last four bytes are cut off.
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

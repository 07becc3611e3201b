// SPDX-License-Identifier: Apache-2.0

import CZlib
import NIOCore

/// The decompressor for the messages of one direction (RFC 7692 §7.2.2).
final class Inflater {
    private let stream: ZlibStream
    private let keepsContext: Bool

    /// - Parameters:
    ///   - windowBits: at least the sender's window size, 8–15.
    ///   - keepsContext: whether messages may refer to previous ones.
    ///   - memoryCeiling: the limit on zlib's allocations, in bytes.
    init?(windowBits: Int, keepsContext: Bool, memoryCeiling: Int = .max) {
        guard
            let stream = ZlibStream(
                memoryCeiling: memoryCeiling, start: { parley_inflateInit2($0, -Int32(windowBits)) }, end: { inflateEnd($0) })
        else { return nil }
        self.stream = stream
        self.keepsContext = keepsContext
    }

    /// The bytes that zlib has allocated.
    var byteCount: Int { stream.byteCount }

    /// Inflates a complete message.
    ///
    /// The output grows in steps and never beyond `limit`, which bounds the cost of a decompression bomb.
    /// - Parameters:
    ///   - message: the concatenated payloads of all frames, at most ``WebSocketLimits/ceiling`` bytes.
    ///   - limit: the maximum size of the inflated message, in bytes.
    ///   - output: an empty buffer, which receives the message.
    func inflate(_ message: RawSpan, limit: Int, into output: inout ByteBuffer) throws(WebSocketError) {
        // Some senders compress an empty message to no bytes instead of the one byte of RFC 7692 §7.2.3.6.
        guard message.byteCount > 0 else { return }
        // Also after an error: a shared stream must not carry one connection's data into the next one's message.
        defer { if !keepsContext { inflateReset(stream.pointer) } }
        output.reserveCapacity(minimumWritableBytes: min(limit + 1, max(512, message.byteCount * 3)))
        let endsWithFinalBlock = try feed(message, limit: limit, into: &output)
        guard !endsWithFinalBlock else { return }
        // The sender removed these bytes (RFC 7692 §7.2.1).
        let tail: InlineArray<4, UInt8> = [0x00, 0x00, 0xFF, 0xFF]
        _ = try feed(tail.span.bytes, limit: limit, into: &output)
        // zlib sets bit 128 between two blocks. Without it, the message was truncated.
        guard stream.pointer.pointee.data_type & 128 != 0 else { throw .invalidDeflate }
    }

    /// - Returns: whether the input ended with a block that has BFINAL set (RFC 7692 §7.2.3.4).
    private func feed(_ input: RawSpan, limit: Int, into output: inout ByteBuffer) throws(WebSocketError) -> Bool {
        let z = stream.pointer
        defer {
            z.pointee.next_in = nil
            z.pointee.next_out = nil
        }
        return try input.withUnsafeBytes { (bytes) throws(WebSocketError) -> Bool in
            z.pointee.next_in = UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
            z.pointee.avail_in = UInt32(clamping: bytes.count)
            while true {
                // One byte more than allowed, to distinguish "at the limit" from "over the limit".
                let room = limit - output.readableBytes + 1
                if output.writableBytes == 0 {
                    output.reserveCapacity(minimumWritableBytes: min(room, max(512, output.readableBytes)))
                }
                var status = Z_OK
                output.writeWithUnsafeMutableBytes(minimumWritableBytes: 0) { target in
                    let space = UInt32(clamping: min(target.count, room))
                    z.pointee.next_out = target.assumingMemoryBound(to: UInt8.self).baseAddress
                    z.pointee.avail_out = space
                    status = CZlib.inflate(z, Z_SYNC_FLUSH)
                    return Int(space - z.pointee.avail_out)
                }
                guard output.readableBytes <= limit else { throw .inflatedMessageTooBig }
                switch status {
                case Z_OK, Z_BUF_ERROR:
                    // With space left, zlib has inflated the whole input.
                    guard z.pointee.avail_out == 0 else {
                        guard z.pointee.avail_in == 0 else { throw .invalidDeflate }
                        return false
                    }
                case Z_STREAM_END:
                    // The next block, of this or the next message, may refer to previous bytes: only the header state is reset.
                    inflateResetKeep(z)
                    if z.pointee.avail_in == 0 { return true }
                case Z_MEM_ERROR:
                    throw .inflateOutOfMemory
                default:
                    throw .invalidDeflate
                }
            }
        }
    }
}

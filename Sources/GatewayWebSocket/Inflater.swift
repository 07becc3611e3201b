import CZlib
import NIOCore

/// Inflates the messages of one direction (RFC 7692 §7.2.2).
final class Inflater {
    private let stream: ZlibStream
    private let keepsContext: Bool

    /// - Parameters:
    ///   - windowBits: at least what the sender's window has, 8–15.
    ///   - keepsContext: whether a message may refer to the ones before.
    ///   - memoryCeiling: bytes that zlib may allocate.
    init?(windowBits: Int, keepsContext: Bool, memoryCeiling: Int = .max) {
        guard
            let stream = ZlibStream(
                memoryCeiling: memoryCeiling, start: { parley_inflateInit2($0, -Int32(windowBits)) }, end: { inflateEnd($0) })
        else { return nil }
        self.stream = stream
        self.keepsContext = keepsContext
    }

    /// Bytes that zlib holds.
    var byteCount: Int { stream.byteCount }

    /// Inflates one whole message.
    ///
    /// The output grows in steps as it is produced and never beyond `limit`: what a bomb costs is the limit, however much it promises.
    /// - Parameters:
    ///   - message: the payloads of all its frames, at most ``WebSocketLimits/ceiling`` bytes.
    ///   - limit: bytes that come out at most.
    ///   - output: empty; holds the message afterwards.
    func inflate(_ message: RawSpan, limit: Int, into output: inout ByteBuffer) throws(WebSocketError) {
        // Some senders make nothing of an empty message where RFC 7692 §7.2.3.6 makes one byte.
        guard message.byteCount > 0 else { return }
        // Also after an error: a shared stream must not carry one connection's rubbish into the next one's message.
        defer { if !keepsContext { inflateReset(stream.pointer) } }
        output.reserveCapacity(minimumWritableBytes: min(limit + 1, max(512, message.byteCount * 3)))
        let endsWithFinalBlock = try feed(message, limit: limit, into: &output)
        guard !endsWithFinalBlock else { return }
        // The sender cut these off (RFC 7692 §7.2.1).
        let tail: InlineArray<4, UInt8> = [0x00, 0x00, 0xFF, 0xFF]
        _ = try feed(tail.span.bytes, limit: limit, into: &output)
        // zlib sets 128 when it stands between two blocks: anywhere else the message was cut short.
        guard stream.pointer.pointee.data_type & 128 != 0 else { throw .invalidDeflate }
    }

    /// - Returns: whether the input ended just with a block that has BFINAL set (RFC 7692 §7.2.3.4).
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
                // One byte more than allowed, to tell "just full" from "too much".
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
                    // With space left over, zlib has said all that this input holds.
                    guard z.pointee.avail_out == 0 else {
                        guard z.pointee.avail_in == 0 else { throw .invalidDeflate }
                        return false
                    }
                case Z_STREAM_END:
                    // The next block, of this message or of the next, may still refer to what came before: only the header state is reset.
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

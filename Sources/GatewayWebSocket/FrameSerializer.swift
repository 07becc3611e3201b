// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The serializer of frames (RFC 6455 §5.2).
package struct FrameSerializer: Sendable {
    package let role: WebSocketRole

    package init(role: WebSocketRole) {
        self.role = role
    }

    /// Returns the size of the header for a payload of `count` bytes: 2–14.
    package func headerByteCount(forPayload count: Int) -> Int {
        let mask = role == .client ? 4 : 0
        return mask + (count <= 125 ? 2 : count <= 0xFFFF ? 4 : 10)
    }

    /// Appends one frame. A client masks it with a new random key.
    ///
    /// - Parameters:
    ///   - payload: truncated to 125 bytes in a control frame.
    ///   - isCompressed: sets RSV1; only for the first frame of a compressed message.
    package func write(
        _ opcode: Opcode, _ payload: RawSpan, isFinal: Bool = true, isCompressed: Bool = false, to output: inout ByteBuffer
    ) {
        write(
            opcode, payload, isFinal: isFinal, isCompressed: isCompressed, maskingKey: role == .client ? .random() : nil, to: &output)
    }

    package func write(
        _ opcode: Opcode, _ payload: RawSpan, isFinal: Bool, isCompressed: Bool, maskingKey: MaskingKey?, to output: inout ByteBuffer
    ) {
        let payload = opcode.isControl && payload.byteCount > 125 ? payload.extracting(first: 125) : payload
        let count = payload.byteCount
        output.reserveCapacity(minimumWritableBytes: headerByteCount(forPayload: count) + count)
        let first = (isFinal ? 0x80 : 0) | (isCompressed ? 0x40 : 0) | opcode.rawValue
        let mask: UInt8 = maskingKey == nil ? 0 : 0x80
        if count <= 125 {
            output.writeInteger(UInt16(first) << 8 | UInt16(mask | UInt8(truncatingIfNeeded: count)))
        } else if count <= 0xFFFF {
            output.writeInteger(UInt32(first) << 24 | UInt32(mask | 126) << 16 | UInt32(truncatingIfNeeded: count))
        } else {
            output.writeInteger(UInt16(first) << 8 | UInt16(mask | 127))
            output.writeInteger(UInt64(truncatingIfNeeded: count))
        }
        guard let maskingKey else {
            output.writeBytes(payload)
            return
        }
        output.writeInteger(maskingKey.littleEndian, endianness: .little)
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            payload.withUnsafeBytes { target.copyMemory(from: $0) }
            maskingKey.apply(to: UnsafeMutableRawBufferPointer(rebasing: target[..<count]), phase: 0)
            return count
        }
    }

    /// Appends a close frame (RFC 6455 §5.5.1).
    ///
    /// - Parameters:
    ///   - code: nil for an empty payload, as in the reply to an empty close frame.
    ///   - reason: UTF-8; truncated to 123 bytes at a character boundary.
    package func writeClose(_ code: UInt16?, reason: RawSpan, to output: inout ByteBuffer) {
        var payload = InlineArray<125, UInt8>(repeating: 0)
        var count = 0
        if let code {
            payload[0] = UInt8(truncatingIfNeeded: code >> 8)
            payload[1] = UInt8(truncatingIfNeeded: code)
            let reasonCount = ClosePayload.fittingByteCount(reason)
            for index in 0..<reasonCount {
                payload[2 + index] = reason.unsafeLoad(fromByteOffset: index, as: UInt8.self)
            }
            count = 2 + reasonCount
        }
        write(.close, payload.span.bytes.extracting(first: count), to: &output)
    }

    /// Appends a close frame with a code and a human-readable reason.
    package func writeClose(_ code: UInt16, reason: String = "", to output: inout ByteBuffer) {
        let bytes = Array(reason.utf8)
        writeClose(code, reason: bytes.span.bytes, to: &output)
    }
}

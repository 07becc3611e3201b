// SPDX-License-Identifier: Apache-2.0

/// The header of a frame (RFC 6455 §5.2).
package struct FrameHeader: Sendable, Equatable {
    /// 2 bytes, 8 for an extended length, 4 for the masking key.
    package static let maximumByteCount = 14

    package let opcode: Opcode
    package let isFinal: Bool
    /// RSV1: on the first frame of a message, whether the message is compressed (RFC 7692 §6).
    package let isCompressed: Bool
    /// The declared size of the payload, 0 to 2^63 - 1. No memory is reserved for it.
    package let payloadCount: Int
    package let maskingKey: MaskingKey?
    /// The size of the header in bytes, 2–14.
    package let byteCount: Int

    /// Parses a header at the beginning of `bytes`.
    ///
    /// - Parameters:
    ///   - role: the role of the receiver: a server requires masked frames, a client unmasked ones.
    ///   - allowsCompression: whether permessage-deflate was negotiated, which defines RSV1.
    /// - Returns: nil when more bytes are needed.
    /// - Throws: the violated rule, as soon as the violating byte is available.
    package static func parse(_ bytes: RawSpan, role: WebSocketRole, allowsCompression: Bool) throws(WebSocketError) -> FrameHeader? {
        let available = bytes.byteCount
        guard available >= 1 else { return nil }
        let first = bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
        guard let opcode = Opcode(rawValue: first & 0x0F) else { throw .reservedOpcode }
        let isFinal = first & 0x80 != 0
        let isCompressed = first & 0x40 != 0
        guard first & 0x30 == 0 else { throw .reservedBits }
        guard !isCompressed || (allowsCompression && (opcode == .text || opcode == .binary)) else { throw .reservedBits }
        guard isFinal || !opcode.isControl else { throw .fragmentedControlFrame }

        guard available >= 2 else { return nil }
        let second = bytes.unsafeLoad(fromByteOffset: 1, as: UInt8.self)
        let isMasked = second & 0x80 != 0
        switch role {
        case .server: guard isMasked else { throw .unmaskedFrame }
        case .client: guard !isMasked else { throw .maskedFrame }
        }
        let short = Int(second & 0x7F)
        guard short <= 125 || !opcode.isControl else { throw .controlFrameTooLong }

        var offset = 2
        let payloadCount: Int
        switch short {
        case 126:
            guard available >= 4 else { return nil }
            payloadCount = Int(UInt16(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            guard payloadCount > 125 else { throw .nonMinimalLength }
            offset = 4
        case 127:
            guard available >= 10 else { return nil }
            let long = UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt64.self))
            guard let count = Int(exactly: long) else { throw .lengthOver63Bits }
            guard count > 0xFFFF else { throw .nonMinimalLength }
            payloadCount = count
            offset = 10
        default:
            payloadCount = short
        }

        var key: MaskingKey?
        if isMasked {
            guard available >= offset + 4 else { return nil }
            key = MaskingKey(littleEndian: UInt32(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            offset += 4
        }
        return FrameHeader(
            opcode: opcode, isFinal: isFinal, isCompressed: isCompressed, payloadCount: payloadCount, maskingKey: key, byteCount: offset)
    }
}

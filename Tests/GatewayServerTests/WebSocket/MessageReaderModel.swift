// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket

/// A generated frame, valid or not.
struct GeneratedFrame {
    /// FIN, reserved bits and opcode.
    var first: UInt8
    var payload: [UInt8] = []
    var isMasked = true
    /// The number of bytes of the extended length; nil for the minimum.
    var lengthBytes: Int?
    /// A declared length that differs from the payload's; only for the last frame.
    var declaredLength: UInt64?

    var bytes: [UInt8] {
        FrameBytes.head(first, count: declaredLength ?? UInt64(payload.count), masked: isMasked, lengthBytes: lengthBytes)
            + (isMasked ? FrameBytes.mask(payload) : payload)
    }

    var isFinal: Bool { first & 0x80 != 0 }
}

/// A model of the message reader that applies the rules of RFC 6455 and RFC 7692 to one frame after the other, without splits and buffers.
/// Supports only stored blocks of DEFLATE.
struct MessageReaderModel {
    let maxMessageBytes: Int
    let maxFragments: Int
    let isCompressing: Bool
    private var open: (isText: Bool, isCompressed: Bool, bytes: [UInt8], fragments: Int)?
    private(set) var entries: [Transcript.Entry] = []

    init(maxMessageBytes: Int, maxFragments: Int, isCompressing: Bool) {
        self.maxMessageBytes = maxMessageBytes
        self.maxFragments = maxFragments
        self.isCompressing = isCompressing
    }

    mutating func read(_ frames: [GeneratedFrame]) {
        for frame in frames {
            do throws(WebSocketError) {
                try checkHeader(frame)
                let continues = frame.first & 0x08 != 0 ? try readControl(frame) : try readData(frame)
                guard continues else { return }
            } catch {
                entries.append(.error(error))
                return
            }
        }
    }

    private func checkHeader(_ frame: GeneratedFrame) throws(WebSocketError) {
        let opcode = frame.first & 0x0F
        let length = frame.declaredLength ?? UInt64(frame.payload.count)
        let lengthBytes = frame.lengthBytes ?? (length <= 125 ? 0 : length <= 0xFFFF ? 2 : 8)
        guard [0, 1, 2, 8, 9, 10].contains(opcode) else { throw .reservedOpcode }
        guard frame.first & 0x30 == 0, frame.first & 0x40 == 0 || isCompressing && (opcode == 1 || opcode == 2) else { throw .reservedBits }
        guard opcode < 8 || frame.isFinal else { throw .fragmentedControlFrame }
        guard frame.isMasked else { throw .unmaskedFrame }
        guard opcode < 8 || lengthBytes == 0 else { throw .controlFrameTooLong }
        guard length < 1 << 63 else { throw .lengthOver63Bits }
        guard lengthBytes == 0 || length > 125, lengthBytes < 8 || length > 0xFFFF else { throw .nonMinimalLength }
    }

    /// - Returns: whether later frames are read.
    private mutating func readControl(_ frame: GeneratedFrame) throws(WebSocketError) -> Bool {
        guard frame.declaredLength == nil else { return false }
        switch frame.first & 0x0F {
        case 9: entries.append(.ping(frame.payload))
        case 10: entries.append(.pong(frame.payload))
        default:
            let payload = frame.payload
            guard payload.count != 1 else { throw .closePayloadTooShort }
            let code = payload.isEmpty ? nil : UInt16(payload[0]) << 8 | UInt16(payload[1])
            if let code { guard ClosePayload.isAllowed(code) else { throw .invalidCloseCode } }
            let reason = Array(payload.dropFirst(2))
            guard String(validating: reason, as: UTF8.self) != nil else { throw .invalidCloseReason }
            entries.append(.close(code, reason))
            return false
        }
        return true
    }

    private mutating func readData(_ frame: GeneratedFrame) throws(WebSocketError) -> Bool {
        let opcode = frame.first & 0x0F
        guard opcode != 0 || open != nil else { throw .unexpectedContinuation }
        guard opcode == 0 || open == nil else { throw .expectedContinuation }
        var message = open ?? (opcode == 1, frame.first & 0x40 != 0, [], 0)
        message.fragments += 1
        guard message.fragments <= maxFragments else { throw .tooManyFragments }
        let length = frame.declaredLength ?? UInt64(frame.payload.count)
        guard UInt64(message.bytes.count) + length <= UInt64(maxMessageBytes) else { throw .messageTooBig }
        message.bytes += frame.payload
        if message.isText, !message.isCompressed, !UTF8Samples.isPrefix(message.bytes) { throw .invalidUTF8 }
        guard frame.declaredLength == nil else { return false }
        open = message
        guard frame.isFinal else { return true }
        open = nil
        var bytes = message.bytes
        if message.isCompressed { bytes = try Self.inflateStored(bytes) }
        guard bytes.count <= maxMessageBytes else { throw .inflatedMessageTooBig }
        guard message.isText else {
            entries.append(.binary(bytes))
            return true
        }
        guard String(validating: bytes, as: UTF8.self) != nil else { throw .invalidUTF8 }
        entries.append(.text(bytes))
        return true
    }

    /// Returns a stored block (RFC 1951 §3.2.4) followed by the rest of the empty block (RFC 7692 §7.2.1).
    static func stored(_ bytes: [UInt8]) -> [UInt8] {
        let count = UInt16(bytes.count)
        let length = [UInt8(count & 0xFF), UInt8(count >> 8)]
        return [0x00] + length + length.map { ~$0 } + bytes + [0x00]
    }

    private static func inflateStored(_ block: [UInt8]) throws(WebSocketError) -> [UInt8] {
        guard block.count >= 6 else {
            guard block.isEmpty || block == [0x00] else { throw .invalidDeflate }
            return []
        }
        let bytes = Array(block[5...].dropLast())
        guard block == stored(bytes) else { throw .invalidDeflate }
        return bytes
    }
}

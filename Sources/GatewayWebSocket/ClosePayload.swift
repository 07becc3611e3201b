// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The payload of a close frame: empty, or a code and a reason (RFC 6455 §5.5.1).
package enum ClosePayload {
    /// The maximum size of a reason: a control frame has at most 125 bytes of payload, two of them for the code.
    package static let maximumReasonBytes = 123

    /// Returns whether a peer may send this code (RFC 6455 §7.4 and the IANA registry).
    ///
    /// 1004 is reserved; 1005, 1006 and 1015 are never sent in a frame; 1016–2999 aren't assigned.
    package static func isAllowed(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    /// Parses the code and validates the reason.
    ///
    /// - Returns: nil for an empty payload.
    static func code(of payload: RawSpan) throws(WebSocketError) -> UInt16? {
        let count = payload.byteCount
        if count == 0 { return nil }
        guard count >= 2 else { throw .closePayloadTooShort }
        let code = UInt16(bigEndian: payload.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt16.self))
        guard isAllowed(code) else { throw .invalidCloseCode }
        var validator = UTF8Validator()
        guard validator.accept(payload.extracting(droppingFirst: 2)), validator.isComplete else { throw .invalidCloseReason }
        return code
    }

    /// Returns the number of bytes of a UTF-8 reason that fit into the frame: at most 123, without splitting a character.
    static func fittingByteCount(_ reason: RawSpan) -> Int {
        guard reason.byteCount > maximumReasonBytes else { return reason.byteCount }
        var end = maximumReasonBytes
        while end > 0, reason.unsafeLoad(fromByteOffset: end, as: UInt8.self) & 0xC0 == 0x80 { end -= 1 }
        return end
    }
}

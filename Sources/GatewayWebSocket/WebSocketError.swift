// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// A violation of the framing rules or of a limit, which fails the connection (RFC 6455 §7.1.7).
package enum WebSocketError: Error, Equatable, Sendable, CaseIterable {
    /// RSV2 or RSV3, or RSV1 without permessage-deflate or on anything but the first frame of a message (RFC 6455 §5.2, RFC 7692 §6).
    case reservedBits
    /// Opcodes 3–7 and 11–15 (RFC 6455 §5.2).
    case reservedOpcode
    /// An unmasked frame of a client (RFC 6455 §5.1).
    case unmaskedFrame
    /// A masked frame of a server (RFC 6455 §5.1).
    case maskedFrame
    /// A length encoded in more bytes than necessary (RFC 6455 §5.2).
    case nonMinimalLength
    /// A 64-bit length with its top bit set (RFC 6455 §5.2).
    case lengthOver63Bits
    /// A control frame of more than 125 bytes (RFC 6455 §5.5).
    case controlFrameTooLong
    /// A control frame without FIN (RFC 6455 §5.5).
    case fragmentedControlFrame
    /// A continuation frame outside of a fragmented message (RFC 6455 §5.4).
    case unexpectedContinuation
    /// A new message before the end of a fragmented message (RFC 6455 §5.4).
    case expectedContinuation
    /// A close frame with a payload of one byte (RFC 6455 §5.5.1).
    case closePayloadTooShort
    /// A close code that must not be sent (RFC 6455 §7.4).
    case invalidCloseCode
    /// A close reason that isn't UTF-8 (RFC 6455 §5.5.1).
    case invalidCloseReason
    /// A text message that isn't UTF-8 (RFC 6455 §8.1).
    case invalidUTF8
    /// A compressed message that isn't a complete DEFLATE stream (RFC 7692 §7.2.2).
    case invalidDeflate
    /// The payloads of a message's frames exceed ``WebSocketLimits/maxMessageBytes``.
    case messageTooBig
    /// A message has more than ``WebSocketLimits/maxFragments`` frames.
    case tooManyFragments
    /// A message inflates to more than ``WebSocketLimits/maxMessageBytes``.
    case inflatedMessageTooBig
    /// zlib is out of memory or at its limit.
    case inflateOutOfMemory

    package var closeCode: CloseCode {
        switch self {
        case .reservedBits, .reservedOpcode, .unmaskedFrame, .maskedFrame, .nonMinimalLength, .lengthOver63Bits, .controlFrameTooLong,
            .fragmentedControlFrame, .unexpectedContinuation, .expectedContinuation, .closePayloadTooShort, .invalidCloseCode:
            .protocolError
        case .invalidCloseReason, .invalidUTF8, .invalidDeflate: .invalidPayload
        case .messageTooBig, .tooManyFragments, .inflatedMessageTooBig: .messageTooBig
        case .inflateOutOfMemory: .internal
        }
    }

    /// The reason in the error message that precedes the close frame; nil if only the close frame is sent.
    package var sizeReason: ErrorReason? {
        switch self {
        case .messageTooBig: .webSocketMessageTooLarge
        case .tooManyFragments: .tooManyFragments
        case .inflatedMessageTooBig: .inflatedMessageTooLarge
        default: nil
        }
    }

    /// A phrase for the close frame and the log: ASCII, at most 123 bytes, without text of the peer.
    package var reason: String {
        switch self {
        case .reservedBits: "reserved bit set"
        case .reservedOpcode: "reserved opcode"
        case .unmaskedFrame: "client frames must be masked"
        case .maskedFrame: "server frames must not be masked"
        case .nonMinimalLength: "payload length not minimally encoded"
        case .lengthOver63Bits: "payload length over 63 bits"
        case .controlFrameTooLong: "control frame over 125 bytes"
        case .fragmentedControlFrame: "control frame fragmented"
        case .unexpectedContinuation: "continuation without a message"
        case .expectedContinuation: "new message inside a fragmented one"
        case .closePayloadTooShort: "close payload of one byte"
        case .invalidCloseCode: "invalid close code"
        case .invalidCloseReason: "close reason is not UTF-8"
        case .invalidUTF8: "text is not UTF-8"
        case .invalidDeflate: "compressed message is not valid DEFLATE"
        case .messageTooBig: "message over the limit"
        case .tooManyFragments: "too many fragments"
        case .inflatedMessageTooBig: "message inflates over the limit"
        case .inflateOutOfMemory: "no memory to inflate"
        }
    }
}

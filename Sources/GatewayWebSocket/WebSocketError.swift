package import GatewayCore

/// A breach of the framing rules, or of a limit, that ends the connection (RFC 6455 §7.1.7).
///
/// Each says which rule it was and with what code the connection closes.
package enum WebSocketError: Error, Equatable, Sendable, CaseIterable {
    /// RSV2 or RSV3, or RSV1 without permessage-deflate or on anything but the first frame of a message (RFC 6455 §5.2, RFC 7692 §6).
    case reservedBits
    /// Opcodes 3–7 and 11–15 (RFC 6455 §5.2).
    case reservedOpcode
    /// A client's frame without a mask (RFC 6455 §5.1).
    case unmaskedFrame
    /// A server's frame with a mask (RFC 6455 §5.1).
    case maskedFrame
    /// A length in more bytes than it needs (RFC 6455 §5.2).
    case nonMinimalLength
    /// A 64-bit length with its top bit set (RFC 6455 §5.2).
    case lengthOver63Bits
    /// A control frame of more than 125 bytes (RFC 6455 §5.5).
    case controlFrameTooLong
    /// A control frame without FIN (RFC 6455 §5.5).
    case fragmentedControlFrame
    /// A continuation while no message is open (RFC 6455 §5.4).
    case unexpectedContinuation
    /// A new message before the open one was finished (RFC 6455 §5.4).
    case expectedContinuation
    /// A close frame with a payload of one byte (RFC 6455 §5.5.1).
    case closePayloadTooShort
    /// A close code that must not be sent (RFC 6455 §7.4).
    case invalidCloseCode
    /// A close reason that isn't UTF-8 (RFC 6455 §5.5.1).
    case invalidCloseReason
    /// A text message that isn't UTF-8 (RFC 6455 §8.1).
    case invalidUTF8
    /// A compressed message that isn't a whole DEFLATE stream (RFC 7692 §7.2.2).
    case invalidDeflate
    /// The frames of one message announce more than ``WebSocketLimits/maxMessageBytes``.
    case messageTooBig
    /// One message is cut in more than ``WebSocketLimits/maxFragments``.
    case tooManyFragments
    /// A message inflates to more than ``WebSocketLimits/maxMessageBytes``.
    case inflatedMessageTooBig
    /// zlib got no memory.
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

    /// The reason that the client gets in an error before the close frame; nil for a breach of the framing rules, which gets the close frame only.
    package var sizeReason: ErrorReason? {
        switch self {
        case .messageTooBig: .webSocketMessageTooLarge
        case .tooManyFragments: .tooManyFragments
        case .inflatedMessageTooBig: .inflatedMessageTooLarge
        default: nil
        }
    }

    /// One phrase for the close frame and the log; ASCII, at most 123 bytes, nothing of the peer's in it.
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

// SPDX-License-Identifier: Apache-2.0

/// The type of a received WebSocket message, as a label.
package enum InboundMessageType: Int, MetricLabel {
    case text, audio, audioChunk, status, cancel, ack, auth, ping, bye
    /// A text message that isn't a valid message of the protocol.
    case invalid
    /// A message without a session: of a conformance suite, or on a connection that is rejected in-band.
    case other

    package init(_ message: ClientMessage) {
        switch message {
        case .ping: self = .ping
        case .text: self = .text
        case .audioOpen, .audioEnd, .audioFrom: self = .audio
        case .status: self = .status
        case .cancel: self = .cancel
        case .ack: self = .ack
        case .auth: self = .auth
        case .bye: self = .bye
        }
    }

    package var label: String { self == .audioChunk ? "audio_chunk" : "\(self)" }
}

/// The type of a sent WebSocket message, as a label.
package enum OutboundMessageType: Int, MetricLabel {
    case session, text, transcript, audio, audioChunk, status, ack, error, pong, quota, goaway, auth
    /// A message without a session, of a conformance suite.
    case other

    /// Recognizes one of the gateway's own messages by the first letters of its `type`, its first member. The message may have been
    /// written by an earlier version and read from the store.
    package init(of message: RawSpan) {
        // {"type":"text"
        guard message.byteCount > 11 else {
            self = .other
            return
        }
        switch (message.byte(at: 9), message.byte(at: 10), message.byte(at: 11)) {
        case (UInt8(ascii: "t"), UInt8(ascii: "e"), _): self = .text
        case (UInt8(ascii: "t"), UInt8(ascii: "r"), _): self = .transcript
        case (UInt8(ascii: "a"), UInt8(ascii: "c"), _): self = .ack
        case (UInt8(ascii: "a"), UInt8(ascii: "u"), UInt8(ascii: "d")): self = .audio
        case (UInt8(ascii: "a"), UInt8(ascii: "u"), UInt8(ascii: "t")): self = .auth
        case (UInt8(ascii: "s"), UInt8(ascii: "t"), _): self = .status
        case (UInt8(ascii: "s"), UInt8(ascii: "e"), _): self = .session
        case (UInt8(ascii: "e"), UInt8(ascii: "r"), _): self = .error
        case (UInt8(ascii: "p"), UInt8(ascii: "o"), _): self = .pong
        case (UInt8(ascii: "q"), UInt8(ascii: "u"), _): self = .quota
        case (UInt8(ascii: "g"), UInt8(ascii: "o"), _): self = .goaway
        default: self = .other
        }
    }

    package var label: String { self == .audioChunk ? "audio_chunk" : "\(self)" }
}

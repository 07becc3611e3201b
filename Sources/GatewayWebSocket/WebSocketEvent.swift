/// What a ``MessageReader`` found: a whole message or a control frame.
package enum WebSocketEvent: Sendable, Equatable {
    /// A whole text message, already known to be UTF-8.
    case text(Payload)
    /// A whole binary message.
    case binary(Payload)
    /// To be answered by a pong with the same payload (RFC 6455 §5.5.3).
    case ping(Payload)
    case pong(Payload)
    /// The last event of a connection. `code` is nil when the frame was empty; otherwise it is one that may be sent, and `reason` is UTF-8.
    case close(code: UInt16?, reason: Payload)

    /// Where the bytes of a payload are; ``MessageReader/withPayload(of:in:_:)`` lends them.
    ///
    /// Good until the next call of the reader that made it.
    package struct Payload: Sendable, Equatable {
        enum Place: UInt8, Sendable {
            /// Still in the read buffer, unmasked where it lay.
            case input
            /// Put together from several reads or frames.
            case assembly
            /// Inflated.
            case inflated
        }

        let place: Place
        /// Offset of the first byte in the storage of that place.
        let start: Int
        /// Bytes.
        package let count: Int

        /// Whether the message came compressed.
        package var wasCompressed: Bool { place == .inflated }
    }
}

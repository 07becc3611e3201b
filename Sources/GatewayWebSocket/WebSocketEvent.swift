// SPDX-License-Identifier: Apache-2.0

/// A parsed message or control frame.
package enum WebSocketEvent: Sendable, Equatable {
    /// A complete text message in valid UTF-8.
    case text(Payload)
    /// A complete binary message.
    case binary(Payload)
    /// A ping, which requires a pong with the same payload (RFC 6455 §5.5.3).
    case ping(Payload)
    case pong(Payload)
    /// The last event of a connection. `code` is nil for an empty frame and otherwise a valid close code; `reason` is valid UTF-8.
    case close(code: UInt16?, reason: Payload)

    /// The location of a payload's bytes, for ``MessageReader/withPayload(of:in:_:)``.
    ///
    /// Valid until the next call of its reader.
    package struct Payload: Sendable, Equatable {
        enum Storage: UInt8, Sendable {
            /// In the read buffer, unmasked in place.
            case input
            /// Assembled from several reads or frames.
            case assembly
            /// Inflated.
            case inflated
        }

        let storage: Storage
        /// The offset of the first byte in the storage.
        let start: Int
        /// The number of bytes.
        package let count: Int

        /// Whether the message was compressed.
        package var wasCompressed: Bool { storage == .inflated }
    }
}

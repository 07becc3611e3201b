// SPDX-License-Identifier: Apache-2.0

/// The limits of an inbound message. They apply to whole messages, fragmented or not.
package struct WebSocketLimits: Sendable, Equatable {
    /// The largest configurable message size, within the range of `ByteBuffer` indices.
    package static let ceiling = Int(Int32.max)

    /// The maximum size of a message in bytes, both on the wire (sum of the frames' payloads) and inflated.
    package let maxMessageBytes: Int
    /// The maximum number of frames of a message, including empty ones.
    package let maxFragments: Int

    /// - Parameters:
    ///   - maxMessageBytes: `websocket.max_message_bytes`; 0 for ``ceiling``.
    ///   - maxFragments: `websocket.max_fragments`; 0 for no limit.
    package init(maxMessageBytes: Int, maxFragments: Int) {
        self.maxMessageBytes = maxMessageBytes > 0 ? min(maxMessageBytes, Self.ceiling) : Self.ceiling
        self.maxFragments = maxFragments > 0 ? maxFragments : .max
    }
}

/// What one peer may send in one message. The limits bind whole messages as well as single frames.
package struct WebSocketLimits: Sendable, Equatable {
    /// The largest message that can be configured: what the buffers behind it can count, with room to spare.
    package static let ceiling = Int(Int32.max)

    /// Bytes of one message: the sum of its frames' payloads as they were sent, and again once inflated.
    package let maxMessageBytes: Int
    /// Frames of one message, empty ones included.
    package let maxFragments: Int

    /// - Parameters:
    ///   - maxMessageBytes: `websocket.max_message_bytes`; 0 means as much as ``ceiling``.
    ///   - maxFragments: `websocket.max_fragments`; 0 means any number.
    package init(maxMessageBytes: Int, maxFragments: Int) {
        self.maxMessageBytes = maxMessageBytes > 0 ? min(maxMessageBytes, Self.ceiling) : Self.ceiling
        self.maxFragments = maxFragments > 0 ? maxFragments : .max
    }
}

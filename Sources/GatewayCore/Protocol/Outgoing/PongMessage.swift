// SPDX-License-Identifier: Apache-2.0

/// The response to `ping`.
///
/// Not an ``OutgoingMessage``, because writing a pong requires the bytes of the ping, whose `ts` is echoed verbatim.
package struct PongMessage {
    package var id: MessageID?
    /// The position of `ts` in the ping.
    package var timestamp: NumberSlice?
    /// Unix milliseconds.
    package var serverTime: Int64

    package init(_ id: MessageID?, timestamp: NumberSlice?, serverTime: Int64) {
        self.id = id
        self.timestamp = timestamp
        self.serverTime = serverTime
    }

    /// Appends the whole message.
    ///
    /// - Parameter ping: the bytes of the ping
    package func append(to bytes: inout [UInt8], replyingTo ping: RawSpan) {
        bytes.appendJSON(expecting: 160 &+ (timestamp?.count ?? 0)) { writer in
            writer.message("pong") { writer in
                if let id { writer.member("id", id) }
                if let timestamp { writer.member("ts", json: ping.extracting(timestamp.start..<timestamp.start &+ timestamp.count)) }
                writer.member("server_ts", serverTime)
            }
        }
    }
}

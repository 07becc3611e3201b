// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// A text or a stream of audio that has no complete response.
struct Request: Sendable {
    let id: String
    /// The message, or the one that opens the stream.
    let message: ClientRequest
    /// Bytes of the text.
    let byteCount: Int
    var stream: AudioStream?
    var wasSent = false
    /// The connection on which the message was sent; nil if the message has to be sent.
    var sentOn: Int?
    var isAcknowledged = false
    /// Whether part of the response would be lost if the gateway had accepted the message before.
    var isDoubtful = false
    var rejections = 0
    var firstRejection: Instant?

    init(id: String, message: ClientRequest, byteCount: Int, stream: AudioStream? = nil) {
        self.id = id
        self.message = message
        self.byteCount = byteCount
        self.stream = stream
    }
}

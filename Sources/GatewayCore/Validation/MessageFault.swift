// SPDX-License-Identifier: Apache-2.0

/// A fault in a client message. Cheaper than the ``GatewayError`` created from it, which has a correlation id.
package struct MessageFault: Error, Sendable {
    package var reason: ErrorReason
    package var code: ErrorCode { reason.code }
    /// The JSON Pointer (RFC 6901) to the faulty field.
    package var param: String?
    /// The `id` of the message, if the id and the message's JSON are valid.
    package var replyTo: MessageID?
    /// The offset in the message in bytes; shown in development only.
    package var offset: Int?
    /// Whether the message's type is `audio`. The session discards the chunks that follow a rejected opening.
    package var isAudio = false

    package init(
        _ reason: ErrorReason, param: String? = nil, replyTo: MessageID? = nil, offset: Int? = nil
    ) {
        self.reason = reason
        self.param = param
        self.replyTo = replyTo
        self.offset = offset
    }

    /// Creates an `invalid_json` fault at the position of the error.
    init(_ error: JSONSyntaxError, replyTo: MessageID? = nil) {
        self.init(error.reason.error, replyTo: replyTo, offset: error.offset)
    }
}

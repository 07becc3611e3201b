/// What is wrong with a client's message: the light form of an error, before it has a correlation id.
package struct MessageFault: Error, Sendable {
    package var reason: ErrorReason
    package var code: ErrorCode { reason.code }
    /// JSON Pointer (RFC 6901) of the field at fault.
    package var param: String?
    /// The message's own `id`, when it is a valid one and the message was whole JSON.
    package var replyTo: MessageID?
    /// Where in the message, in bytes; shown in development only.
    package var offset: Int?
    /// Whether the message's type is known to be `audio`: what follows a refused opening isn't judged.
    package var isAudio = false

    package init(
        _ reason: ErrorReason, param: String? = nil, replyTo: MessageID? = nil, offset: Int? = nil
    ) {
        self.reason = reason
        self.param = param
        self.replyTo = replyTo
        self.offset = offset
    }

    /// `invalid_json`, where the scan stopped.
    init(_ error: JSONSyntaxError, replyTo: MessageID? = nil) {
        self.init(error.reason.error, replyTo: replyTo, offset: error.offset)
    }
}

/// One problem, as clients, logs and close frames tell it.
///
/// Made by the rules of the core and by the edge alike; ``ErrorMessage`` is how clients get it.
package struct GatewayError: Error, Sendable {
    /// Who is at fault, for logs and counters.
    package enum Source: String, Sendable {
        case client, upstream, gateway
    }

    package var code: ErrorCode
    package var source: Source
    /// For people; never shows internals.
    package var message: String
    /// JSON Pointer (RFC 6901) of the field at fault.
    package var param: String?
    package var replyTo: MessageID?
    /// The refused audio chunk, counted from 1.
    package var chunk: UInt64?
    /// Milliseconds until the same message can succeed.
    package var retryAfter: Int64?
    /// What is shown in development only.
    package var details: String?
    /// Set for a fatal error: the connection closes with this code after the error was sent.
    package var close: CloseCode?
    package var correlationID: ULID
    /// Whether the same message can succeed later, unchanged.
    package var isRetryable: Bool

    /// - Parameter message: the reason's message with its placeholder filled in; nil for a reason without one
    package init(
        _ reason: ErrorReason, source: Source = .client, message: String? = nil, param: String? = nil, replyTo: MessageID? = nil,
        chunk: UInt64? = nil, retryAfter: Int64? = nil, isRetryable: Bool? = nil, details: String? = nil, close: CloseCode? = nil,
        correlationID: ULID
    ) {
        code = reason.code
        self.source = source
        self.message = message ?? reason.message
        self.param = param
        self.replyTo = replyTo
        self.chunk = chunk
        self.retryAfter = retryAfter
        self.details = details
        self.close = close
        self.correlationID = correlationID
        self.isRetryable = isRetryable ?? reason.code.isRetryable
    }
}

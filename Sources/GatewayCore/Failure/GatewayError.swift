// SPDX-License-Identifier: Apache-2.0

/// An error, as reported to clients, in logs and in close frames. Clients receive it as an ``ErrorMessage``.
package struct GatewayError: Error, Sendable {
    /// The party at fault, for logs and counters.
    package enum Source: String, Sendable {
        case client, upstream, gateway
    }

    package var code: ErrorCode
    package var source: Source
    /// Text for people; never contains internals.
    package var message: String
    /// JSON Pointer (RFC 6901) of the field at fault.
    package var param: String?
    package var replyTo: MessageID?
    /// The rejected audio chunk, counted from 1.
    package var chunk: UInt64?
    /// Milliseconds until the same message can succeed.
    package var retryAfter: Int64?
    /// Details that clients receive only in development mode.
    package var details: String?
    /// Set for a fatal error: the connection is closed with this code after the error is sent.
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

// SPDX-License-Identifier: Apache-2.0

/// The error that ends a reply or a connection.
public struct ParleyError: Error, Sendable, Hashable {
    /// An error code of the gateway, a close code, an HTTP status, or a code of the client: a key of ``table``.
    public var code: String
    /// For developers; may contain text of the gateway. ``advice`` is for people.
    public var message: String
    /// Whether the same request can succeed later.
    public var isRetryable: Bool
    /// The delay that the gateway asks for before the next attempt; nil if it asks for none.
    public var retryAfter: Duration?
    /// The id under which the gateway logged the error.
    public var correlationID: String?
    /// The JSON Pointer of the invalid field.
    public var parameter: String?

    public init(
        _ code: String, _ message: String = "", isRetryable: Bool = false, retryAfter: Duration? = nil, correlationID: String? = nil,
        parameter: String? = nil
    ) {
        self.code = code
        self.message = message
        self.isRetryable = isRetryable
        self.retryAfter = retryAfter
        self.correlationID = correlationID
        self.parameter = parameter
    }

    init(_ failure: ServerMessage.Failure) {
        self.init(
            failure.code, failure.message, isRetryable: failure.retryable == true,
            retryAfter: failure.retryAfterMilliseconds.map { .milliseconds(max(0, $0)) }, correlationID: failure.correlationID,
            parameter: failure.param)
    }

    public var errorClass: Class { Self.entry(for: code).errorClass }
    public var recovery: Recovery { Self.entry(for: code).recovery }
    /// The text for people.
    public var advice: Advice { Self.entry(for: code).advice }

    /// Whether the request was cancelled, by the application or the gateway.
    public var isCancellation: Bool { code == "cancelled" }
}

extension ParleyError: CustomStringConvertible {
    public var description: String { "\(code): \(message.isEmpty ? advice.text(seconds: 0) : message)" }
}

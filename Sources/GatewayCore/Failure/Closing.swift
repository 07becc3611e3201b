// SPDX-License-Identifier: Apache-2.0

/// The code and reason of a close frame.
package struct Closing: Sendable {
    package var code: CloseCode
    /// The error's code and correlation id, or a short description; at most 123 bytes (RFC 6455 §5.5.1).
    package var reason: String

    package init(code: CloseCode, reason: String) {
        self.code = code
        self.reason = reason
    }

    /// The close that follows a fatal error.
    package init(_ error: GatewayError) {
        self.init(code: error.close ?? .internal, reason: "\(error.code.rawValue) \(error.correlationID)")
    }
}

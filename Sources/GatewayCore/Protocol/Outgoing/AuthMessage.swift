// SPDX-License-Identifier: Apache-2.0

/// The response to an `auth` message whose token was accepted.
package struct AuthMessage: OutgoingMessage {
    package static let type: StaticString = "auth"
    /// When the token expires, in Unix milliseconds.
    package var expiresAt: Int64

    package init(expiresAt: Int64) { self.expiresAt = expiresAt }

    package var expectedBytes: Int { 48 }

    package func write(to writer: inout JSONWriter) { writer.member("expires_at", expiresAt) }
}

// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// A client's request to resume a session.
package struct ResumeRequest: Sendable {
    /// The hash of the presented token; nil when the token is malformed.
    package var token: TokenHash?
    /// `last_seq`; nil when absent.
    package var last: UInt64?
    /// The user of the client; nil without authentication.
    package var user: String?
    /// Whether `last_seq` isn't a number.
    package var isMalformed = false

    package init(token: TokenHash?) { self.token = token }
}

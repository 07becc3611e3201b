// SPDX-License-Identifier: Apache-2.0

/// The role in a connection, which determines masking (RFC 6455 §5.1).
package enum WebSocketRole: Sendable {
    /// Requires masked frames and sends unmasked ones.
    case server
    /// Requires unmasked frames and sends masked ones.
    case client

    package var peer: WebSocketRole {
        switch self {
        case .server: .client
        case .client: .server
        }
    }
}

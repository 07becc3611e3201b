// SPDX-License-Identifier: Apache-2.0

/// The negotiated parameters of permessage-deflate (RFC 7692 §7.1).
package struct CompressionAgreement: Sendable, Equatable {
    /// The base-2 logarithm of a window size that wasn't negotiated.
    package static let defaultWindowBits = 15

    /// Whether the server resets its window after each message.
    package var serverNoContextTakeover: Bool
    /// Whether the client resets its window after each message.
    package var clientNoContextTakeover: Bool
    /// The base-2 logarithm of the server's window size, 9–15; nil when it wasn't negotiated.
    package var serverMaxWindowBits: Int?
    /// The base-2 logarithm of the client's window size, 8–15; nil when it wasn't negotiated.
    package var clientMaxWindowBits: Int?

    package init(
        serverNoContextTakeover: Bool, clientNoContextTakeover: Bool, serverMaxWindowBits: Int? = nil, clientMaxWindowBits: Int? = nil
    ) {
        self.serverNoContextTakeover = serverNoContextTakeover
        self.clientNoContextTakeover = clientNoContextTakeover
        self.serverMaxWindowBits = serverMaxWindowBits
        self.clientMaxWindowBits = clientMaxWindowBits
    }

    /// Returns whether messages of `sender` may refer to previous ones.
    package func usesContextTakeover(_ sender: WebSocketRole) -> Bool {
        switch sender {
        case .server: !serverNoContextTakeover
        case .client: !clientNoContextTakeover
        }
    }

    /// Returns the base-2 logarithm of the window size of `sender`, 8–15.
    package func windowBits(_ sender: WebSocketRole) -> Int {
        switch sender {
        case .server: serverMaxWindowBits ?? Self.defaultWindowBits
        case .client: clientMaxWindowBits ?? Self.defaultWindowBits
        }
    }
}

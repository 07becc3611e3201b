/// The parameters of permessage-deflate that both ends agreed on (RFC 7692 §7.1).
package struct CompressionAgreement: Sendable, Equatable {
    /// Base-2 logarithm of a window that nobody spoke of.
    package static let defaultWindowBits = 15

    /// The server forgets its window after each message.
    package var serverNoContextTakeover: Bool
    /// The client forgets its window after each message.
    package var clientNoContextTakeover: Bool
    /// Base-2 logarithm of the server's window, 9–15; nil when it wasn't spoken of.
    package var serverMaxWindowBits: Int?
    /// Base-2 logarithm of the client's window, 8–15; nil when it wasn't spoken of.
    package var clientMaxWindowBits: Int?

    package init(
        serverNoContextTakeover: Bool, clientNoContextTakeover: Bool, serverMaxWindowBits: Int? = nil, clientMaxWindowBits: Int? = nil
    ) {
        self.serverNoContextTakeover = serverNoContextTakeover
        self.clientNoContextTakeover = clientNoContextTakeover
        self.serverMaxWindowBits = serverMaxWindowBits
        self.clientMaxWindowBits = clientMaxWindowBits
    }

    /// Whether messages of that end refer to the ones before.
    package func takesContextOver(_ sender: WebSocketRole) -> Bool {
        switch sender {
        case .server: !serverNoContextTakeover
        case .client: !clientNoContextTakeover
        }
    }

    /// Base-2 logarithm of that end's window, 8–15.
    package func windowBits(_ sender: WebSocketRole) -> Int {
        switch sender {
        case .server: serverMaxWindowBits ?? Self.defaultWindowBits
        case .client: clientMaxWindowBits ?? Self.defaultWindowBits
        }
    }
}

/// Which end of the connection we are: it decides who masks (RFC 6455 §5.1).
package enum WebSocketRole: Sendable {
    /// Demands masked frames and sends unmasked ones.
    case server
    /// Demands unmasked frames and masks what it sends.
    case client

    package var peer: WebSocketRole {
        switch self {
        case .server: .client
        case .client: .server
        }
    }
}

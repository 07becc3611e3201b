// SPDX-License-Identifier: Apache-2.0

/// The reason why a ``ClientWebSocket`` couldn't connect or send.
package enum ClientWebSocketError: Error, Sendable {
    /// The name has no address, or connecting failed; with the system's message.
    case cannotConnect(String)
    /// The TLS handshake failed, or the CA file is unusable.
    case tls(String)
    /// The server rejected the upgrade with an HTTP response.
    case rejected(UpgradeRejection)
    /// The server sent a 101 response that doesn't match the request.
    case handshake(ClientHandshakeFault)
    /// The connection closed before the response to the upgrade request.
    case lost(String)
    case timedOut
    /// A message was sent on a closed connection.
    case closed(ClientClosing)
}

extension ClientWebSocketError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotConnect(let reason): "can't connect: \(reason)"
        case .tls(let reason): reason
        case .rejected(let rejection): "\(rejection)"
        case .handshake(let fault): "invalid upgrade response: \(fault)"
        case .lost(let reason): "the connection was lost before the upgrade: \(reason)"
        case .timedOut: "timed out while connecting"
        case .closed(let closing): "\(closing)"
        }
    }
}

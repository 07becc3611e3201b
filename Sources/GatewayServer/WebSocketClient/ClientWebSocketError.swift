/// Why a ``ClientWebSocket`` couldn't connect, or couldn't send.
package enum ClientWebSocketError: Error, Sendable {
    /// No address, or nobody listens there; with the system's reason.
    case cannotConnect(String)
    /// The TLS handshake failed, or the authority's file is of no use.
    case tls(String)
    /// Answered by HTTP instead of a WebSocket.
    case refused(HTTPRefusal)
    /// A 101 that isn't an answer to our request.
    case handshake(ClientHandshakeFault)
    /// The connection ended before the answer to the request.
    case lost(String)
    case timedOut
    /// Sent to a connection that is over.
    case closed(ClientClosing)
}

extension ClientWebSocketError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotConnect(let reason): "can't connect: \(reason)"
        case .tls(let reason): reason
        case .refused(let refusal): "\(refusal)"
        case .handshake(let fault): "the answer to the upgrade is wrong: \(fault)"
        case .lost(let reason): "the connection was lost before the upgrade: \(reason)"
        case .timedOut: "no connection in time"
        case .closed(let closing): "\(closing)"
        }
    }
}

/// Why an answer with status 101 isn't the answer to our request (RFC 6455 §4.1, RFC 7692 §7.1).
package enum ClientHandshakeFault: Error, Sendable, Hashable, CaseIterable {
    case upgrade
    case connection
    /// Missing, repeated, or not made from our key.
    case acceptKey
    /// One that we didn't offer, or more than one.
    case subprotocol
    /// One that we didn't offer, or a list that can't be read.
    case extensions
    /// A parameter of permessage-deflate that is unknown, repeated, ill-valued or wasn't offered.
    case compressionParameters
}

extension ClientHandshakeFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .upgrade: "Upgrade isn't websocket"
        case .connection: "Connection isn't Upgrade"
        case .acceptKey: "Sec-WebSocket-Accept doesn't belong to our key"
        case .subprotocol: "a subprotocol that wasn't offered"
        case .extensions: "an extension that wasn't offered"
        case .compressionParameters: "permessage-deflate with parameters that can't be agreed on"
        }
    }
}

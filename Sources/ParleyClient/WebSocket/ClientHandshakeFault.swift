// SPDX-License-Identifier: Apache-2.0

/// The reason why a 101 response doesn't match the request (RFC 6455 §4.1, RFC 7692 §7.1).
package enum ClientHandshakeFault: Error, Sendable, Hashable, CaseIterable {
    case upgrade
    case connection
    /// Sec-WebSocket-Accept is missing, repeated, or not derived from the key of the request.
    case acceptKey
    /// The response selects a subprotocol that wasn't offered, or more than one.
    case subprotocol
    /// The response selects an extension that wasn't offered, or the list is malformed.
    case extensions
    /// A permessage-deflate parameter is unknown, repeated, has an invalid value or wasn't offered.
    case compressionParameters
}

extension ClientHandshakeFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .upgrade: "Upgrade isn't websocket"
        case .connection: "Connection isn't Upgrade"
        case .acceptKey: "Sec-WebSocket-Accept doesn't match the key of the request"
        case .subprotocol: "the subprotocol wasn't offered"
        case .extensions: "the extension wasn't offered"
        case .compressionParameters: "invalid parameters of permessage-deflate"
        }
    }
}

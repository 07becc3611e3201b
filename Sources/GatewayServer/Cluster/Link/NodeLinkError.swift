// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The reason why a request to another node failed, or a stream wasn't opened.
package enum NodeLinkError: Error, Sendable, Hashable, CustomStringConvertible {
    /// No connection could be opened. The associated value is the reason as text.
    case unreachable(String)
    /// The handshake failed: wrong secret, another node at the address, or another version.
    case rejected(NodeLinkFault)
    /// No response in time. The request may have been handled.
    case timeout
    /// The link broke before the response. The request may have been handled.
    case lost
    /// The peer, or this node, has too many requests or streams.
    case busy
    /// The message exceeds ``NodeFrame/maximumPayload``.
    case tooLarge
    /// The link accepts no new requests and streams; another link takes its place.
    case retired
    /// This node is shutting down.
    case shutDown

    package var description: String {
        switch self {
        case .unreachable(let reason): reason
        case .rejected(let fault): fault.rawValue
        case .timeout: "no response in time"
        case .lost: "the link broke"
        case .busy: "too many requests"
        case .tooLarge: "the message is too large"
        case .retired: "the link is being replaced"
        case .shutDown: "the node is shutting down"
        }
    }
}

/// The reason why a link was closed because of its peer.
package enum NodeLinkFault: String, Error, Sendable, Hashable, CaseIterable {
    case invalidFrame = "invalid frame"
    case unexpectedFrame = "unexpected frame"
    case invalidHello = "not a node of this version"
    case wrongSecret = "wrong cluster secret"
    case anotherNode = "another node has this address"
    case sameNode = "the address is this node's own"
    case handshakeTimeout = "handshake timed out"
    case silent = "no data from the peer"
    case windowExceeded = "the peer ignored a stream's window"
    case tooManyConnections = "too many connections in their handshake"
}

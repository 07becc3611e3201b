package import GatewayCore

/// The reason why a request isn't a valid WebSocket upgrade for Parley (RFC 6455 §4.2.1).
package enum UpgradeFailure: Error, Equatable, Sendable, CaseIterable {
    case methodNotAllowed
    case httpVersion
    case target
    case host
    case body
    case notAnUpgrade
    case notAConnectionUpgrade
    /// Rejected with 426 and ``supportedVersion`` (RFC 6455 §4.4).
    case version
    case key
    case subprotocols
    /// The list has credentials but no subprotocol to echo: a browser would fail the handshake without giving a reason.
    case missingSubprotocol
    case extensions
    case origin
    case authorization
    case resumeToken
    /// The request has two different tokens for the same purpose.
    case conflictingCredentials

    /// The only supported version of the WebSocket protocol.
    package static let supportedVersion = "13"

    /// The HTTP status of the rejection.
    package var status: Int {
        switch self {
        case .methodNotAllowed: 405
        case .version: 426
        default: 400
        }
    }

    package var code: ErrorCode {
        switch self {
        case .methodNotAllowed: .notFound
        default: .invalidUpgrade
        }
    }

    /// A human-readable sentence. Contains no text of the client.
    package var message: String {
        switch self {
        case .methodNotAllowed: "A WebSocket is opened with GET."
        case .httpVersion: "A WebSocket is opened with HTTP/1.1."
        case .target: "The request target is malformed."
        case .host: "Exactly one valid Host header is needed."
        case .body: "The request must not have a body."
        case .notAnUpgrade: "The header Upgrade: websocket is missing."
        case .notAConnectionUpgrade: "The header Connection: Upgrade is missing."
        case .version: "Sec-WebSocket-Version must be 13."
        case .key: "Exactly one Sec-WebSocket-Key of 16 bytes in base64 is needed."
        case .subprotocols: "Sec-WebSocket-Protocol must be a list of distinct tokens."
        case .missingSubprotocol: "Sec-WebSocket-Protocol must offer parley.v1 along with credentials: browsers need a subprotocol echoed."
        case .extensions: "Sec-WebSocket-Extensions is malformed."
        case .origin: "More than one Origin header."
        case .authorization: "The bearer token is malformed."
        case .resumeToken: "The resume token is malformed."
        case .conflictingCredentials: "Two different credentials were given for one purpose."
        }
    }
}

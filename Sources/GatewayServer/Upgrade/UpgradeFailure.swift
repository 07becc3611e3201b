package import GatewayCore

/// Why a request isn't a WebSocket upgrade that Parley understands (RFC 6455 §4.2.1).
package enum UpgradeFailure: Error, Equatable, Sendable, CaseIterable {
    case methodNotAllowed
    case httpVersion
    case target
    case host
    case body
    case notAnUpgrade
    case notAConnectionUpgrade
    /// Told with 426 and the version we speak (RFC 6455 §4.4).
    case version
    case key
    case subprotocols
    /// Credentials among the subprotocols, and no subprotocol that can be echoed: a browser would fail the handshake without a reason.
    case missingSubprotocol
    case extensions
    case origin
    case authorization
    case resumeToken
    /// Two different tokens for the same purpose.
    case conflictingCredentials

    /// The version that is named in the answer to ``version``.
    package static let supportedVersion = "13"

    /// HTTP status of the refusal.
    package var status: Int {
        switch self {
        case .methodNotAllowed: 405
        case .version: 426
        default: 400
        }
    }

    /// The reason that the client gets.
    package var reason: ErrorReason {
        switch self {
        case .methodNotAllowed: .upgradeMethod
        case .httpVersion: .httpVersion
        case .target: .invalidTarget
        case .host: .invalidHost
        case .body: .unexpectedBody
        case .notAnUpgrade: .missingUpgrade
        case .notAConnectionUpgrade: .missingConnectionUpgrade
        case .version: .unsupportedVersion
        case .key: .invalidKey
        case .subprotocols: .invalidSubprotocols
        case .missingSubprotocol: .missingSubprotocol
        case .extensions: .invalidExtensions
        case .origin: .multipleOrigins
        case .authorization: .invalidBearerToken
        case .resumeToken: .invalidResumeToken
        case .conflictingCredentials: .conflictingCredentials
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The reason a request isn't a valid WebSocket upgrade for Parley (RFC 6455 §4.2.1).
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

    /// The reason that is sent to the client.
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

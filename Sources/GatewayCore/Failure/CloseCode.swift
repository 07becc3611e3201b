// SPDX-License-Identifier: Apache-2.0

/// The WebSocket close codes that Parley sends (RFC 6455 §7.4; private codes from 4000 to 4999).
package enum CloseCode: UInt16, Sendable, CaseIterable {
    case normal = 1000
    case goingAway = 1001
    case protocolError = 1002
    case unsupportedData = 1003
    case invalidPayload = 1007
    case messageTooBig = 1009
    case `internal` = 1011
    /// The gateway restarts: reconnect and resume.
    case restart = 1012
    /// Overloaded: try again later.
    case tryAgainLater = 1013
    case heartbeatTimeout = 4001
    case slowConsumer = 4002
    /// The connection reached its age limit: reconnect and resume.
    case connectionAge = 4003
    case unauthorized = 4500
    case tokenExpired = 4501
    /// The session has expired: start a new one.
    case sessionExpired = 4502
    case takenOver = 4503
    case evicted = 4504
    case tooManyViolations = 4505
    case memoryLimit = 4506
    case endedByOperator = 4507

    /// Whether the session ends with the connection. Otherwise it can be resumed.
    package var endsSession: Bool {
        switch self {
        case .normal, .unauthorized, .sessionExpired, .tooManyViolations, .memoryLimit, .endedByOperator: true
        default: false
        }
    }
}

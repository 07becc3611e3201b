// SPDX-License-Identifier: Apache-2.0

/// The event of an audit record.
package enum AuditEvent: Int, CaseIterable, Sendable {
    /// A client's connection was upgraded to a WebSocket.
    case connect
    /// A client presented a valid credential.
    case authenticate
    /// An upgrade, a token or a request to the operations listener was rejected.
    case refuse
    /// A TLS handshake failed.
    case handshakeFailure
    /// A session was resumed by a connection.
    case resume
    /// A session was taken over: its connection is closed, because another one resumes the session.
    case takeOver
    /// A rate limit rejected a message.
    case limit
    /// A quota rejected or stopped a request.
    case quota
    /// A client's connection closed.
    case close
    /// An operator changed something, or watched a session.
    case operatorAction
    /// A takeover by an operator ended, because the operator was idle.
    case handBack
    /// An operator erased the data of a session.
    case erase
    /// The configuration was reloaded.
    case configuration
    /// The first record of a file and of a run of the gateway.
    case begin
    /// The gateway found a partial line at the end of the file, which an interrupted write had left.
    case recover
    /// Records of one event weren't written, because there were too many within a second.
    case suppressed
    /// Records weren't written, because the queue was full.
    case dropped
    /// The gateway stopped.
    case stop

    /// The name in the record.
    package var name: StaticString {
        switch self {
        case .connect: "connect"
        case .authenticate: "authenticate"
        case .refuse: "refuse"
        case .handshakeFailure: "handshake_failure"
        case .resume: "resume"
        case .takeOver: "take_over"
        case .limit: "limit"
        case .quota: "quota"
        case .close: "close"
        case .operatorAction: "operator"
        case .handBack: "hand_back"
        case .erase: "erase"
        case .configuration: "configuration"
        case .begin: "begin"
        case .recover: "recover"
        case .suppressed: "suppressed"
        case .dropped: "dropped"
        case .stop: "stop"
        }
    }

    /// Whether only a rejected client causes the event: far fewer of these records are written than of the others.
    package var isRejection: Bool {
        switch self {
        case .refuse, .handshakeFailure, .limit, .quota: true
        default: false
        }
    }
}

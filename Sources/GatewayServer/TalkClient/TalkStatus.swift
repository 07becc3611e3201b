// SPDX-License-Identifier: Apache-2.0

package import ParleyClient

/// The exit codes of `parley talk`, for scripts.
package enum TalkStatus: Int32, Sendable, CaseIterable {
    case completed = 0
    case usage = 2
    case noConnection = 3
    case rejected = 4
    case failed = 5
    case timedOut = 6
    case lost = 7
    /// Ctrl-C in a script: 128 plus the number of SIGINT, as in shells.
    case interrupted = 130

    package init(_ error: ClientWebSocketError) {
        switch error {
        case .cannotConnect, .tls, .lost: self = .noConnection
        case .rejected: self = .rejected
        // A server that sends an invalid 101 response isn't a gateway, so there is no connection.
        case .handshake: self = .noConnection
        case .timedOut: self = .timedOut
        case .closed: self = .lost
        }
    }

    /// The status of a conversation that reached an open connection.
    ///
    /// - Parameters:
    ///   - hasFailed: whether the gateway responded with an error, which takes precedence over the close code
    ///   - isAwaiting: whether a request had no complete response
    package init(closing: ClientClosing, hasFailed: Bool, isAwaiting: Bool) {
        if hasFailed {
            self = .failed
        } else if closing.code != 1000 || isAwaiting {
            self = .lost
        } else {
            self = .completed
        }
    }

    /// The explanation of the exit code for `--help`.
    package var meaning: String {
        switch self {
        case .completed: "every request got its response"
        case .usage: "wrong usage, or a file that can't be read or written"
        case .noConnection: "no connection, or TLS failed"
        case .rejected: "the upgrade was rejected with an HTTP status"
        case .failed: "the gateway responded with an error, or without the audio that --speak requests"
        case .timedOut: "no response in time"
        case .lost: "the connection was lost, or closed with a code other than 1000"
        case .interrupted: "interrupted"
        }
    }
}

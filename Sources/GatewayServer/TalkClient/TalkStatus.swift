/// The exit codes of `parley talk`, for scripts.
package enum TalkStatus: Int32, Sendable, CaseIterable {
    case answered = 0
    case usage = 2
    case noConnection = 3
    case refused = 4
    case failed = 5
    case timedOut = 6
    case lost = 7
    /// Ctrl-C in a script: 128 and the number of SIGINT, as shells count.
    case interrupted = 130

    package init(_ error: ClientWebSocketError) {
        switch error {
        case .cannotConnect, .tls, .lost: self = .noConnection
        case .refused: self = .refused
        // Whoever answers so isn't a gateway, and it wasn't refused either.
        case .handshake: self = .noConnection
        case .timedOut: self = .timedOut
        case .closed: self = .lost
        }
    }

    /// How a talk ended that could begin.
    ///
    /// - Parameters:
    ///   - hasFailed: whether the gateway answered with an error: that says more than the close that followed.
    ///   - isAwaiting: whether a request was unanswered.
    package init(closing: ClientClosing, hasFailed: Bool, isAwaiting: Bool) {
        if hasFailed {
            self = .failed
        } else if closing.code != 1000 || isAwaiting {
            self = .lost
        } else {
            self = .answered
        }
    }

    package var meaning: String {
        switch self {
        case .answered: "everything was answered"
        case .usage: "wrong usage, or a file that can't be read or written"
        case .noConnection: "no connection, or TLS failed"
        case .refused: "refused by HTTP"
        case .failed: "the gateway answered with an error, whatever came then, or without the audio that --speak asks for"
        case .timedOut: "no answer in time"
        case .lost: "the connection was lost, or closed with another code than 1000"
        case .interrupted: "interrupted"
        }
    }
}

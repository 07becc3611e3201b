/// An event on a client's connection.
package enum ClientEvent: Sendable, Hashable {
    /// An event of the program itself.
    package enum Inserted: Sendable, Hashable {
        /// A line of input, with any characters.
        case line(String)
        /// The end of input.
        case endOfInput
        /// Ctrl-C, or another signal to terminate.
        case interrupt
        /// The reader of standard output has closed the pipe.
        case outputClosed
        /// An attempt to reconnect is complete.
        case attemptEnded
    }

    case text(String)
    case binary([UInt8])
    /// A ping, which has already got its pong; reported only with ``ClientWebSocketOptions/reportsPings``.
    case ping([UInt8])
    case pong([UInt8])
    /// Inserted by the program with ``ClientWebSocket/insert(_:)``.
    case inserted(Inserted)
    /// The end of the connection; no event of the connection follows.
    case closed(ClientClosing)

    /// The size of the payload in bytes.
    var byteCount: Int {
        switch self {
        case .text(let text), .inserted(.line(let text)): text.utf8.count
        case .binary(let bytes), .ping(let bytes), .pong(let bytes): bytes.count
        case .closed(let closing): closing.reason.utf8.count
        case .inserted: 0
        }
    }
}

extension ClientEvent.Inserted: ExpressibleByStringLiteral {
    package init(stringLiteral line: String) { self = .line(line) }
}

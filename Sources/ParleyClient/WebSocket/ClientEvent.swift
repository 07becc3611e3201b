// SPDX-License-Identifier: Apache-2.0

/// An event on a client's connection.
package enum ClientEvent: Sendable, Hashable {
    /// An event that the program inserts among those of the connection.
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
    /// A ping; reported only with ``ClientWebSocketOptions/reportsPings``. The client sends the pong itself.
    case ping([UInt8])
    case pong([UInt8])
    /// Inserted by the program with ``ClientWebSocket/insert(_:)``.
    case inserted(Inserted)
    /// The end of the connection; only inserted events may follow.
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

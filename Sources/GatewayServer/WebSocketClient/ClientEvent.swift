/// What happens on a client's connection, in order.
package enum ClientEvent: Sendable, Hashable {
    /// An event of the program's own. Text that a user wrote is a line, whatever characters it has.
    package enum Inserted: Sendable, Hashable {
        case line(String)
        /// Nothing more is written.
        case endOfInput
        /// Ctrl-C, or a signal that asks the program to end.
        case interrupt
        /// The reader of standard output is gone.
        case outputClosed
        /// An attempt to connect again has ended.
        case attemptEnded
    }

    case text(String)
    case binary([UInt8])
    /// Answered already; only with ``ClientWebSocketOptions/reportsPings``.
    case ping([UInt8])
    case pong([UInt8])
    /// Put in by the program itself with ``ClientWebSocket/insert(_:)``.
    case inserted(Inserted)
    /// The end; nothing comes after it.
    case closed(ClientClosing)

    /// Bytes that it holds.
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

/// What happens on a client's connection, in order.
package enum ClientEvent: Sendable, Hashable {
    case text(String)
    case binary([UInt8])
    /// Answered already; only with ``GatewayClientOptions/reportsPings``.
    case ping([UInt8])
    case pong([UInt8])
    /// Put in by the program itself with ``GatewayClient/insert(_:)``.
    case inserted(String)
    /// The end; nothing comes after it.
    case closed(ClientClosing)

    /// Bytes that it holds.
    var byteCount: Int {
        switch self {
        case .text(let text), .inserted(let text): text.utf8.count
        case .binary(let bytes), .ping(let bytes), .pong(let bytes): bytes.count
        case .closed(let closing): closing.reason.utf8.count
        }
    }
}

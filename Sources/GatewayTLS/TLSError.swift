/// What ends a TLS connection other than close_notify; arrives through `errorCaught`.
package enum TLSError: Error, Sendable, Equatable {
    /// The two sides didn't agree. `reason` is OpenSSL's; `alert` tells who refused whom, `nil` when none went over the wire.
    case handshakeFailed(reason: String, alert: TLSAlert?)
    /// The peer went away before the handshake was done, without an alert: port scans and health probes look like this.
    case closedDuringHandshake
    /// A request in the clear came to the TLS port. It was answered with a 400, and the sending side is closed; what the peer
    /// still sends is read and thrown away, until it closes or the one who accepted it does.
    case plainHTTP
    /// A record that can't be right, or a flood of messages that only cost work, after the handshake.
    case protocolFailure(reason: String, alert: TLSAlert?)
    /// TCP ended without close_notify (RFC 8446 §6.1). Usually benign: a browser's tab was closed. What was received
    /// before is genuine, but whether it is everything isn't known.
    case truncated
    /// A write after our close_notify.
    case outputClosed
    /// OpenSSL has no memory for another connection.
    case outOfMemory
}

extension TLSError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .handshakeFailed(let reason, let alert): "TLS handshake failed: \(reason)" + Self.suffix(alert)
        case .closedDuringHandshake: "the peer closed the connection during the TLS handshake"
        case .plainHTTP: "plain HTTP on a TLS port"
        case .protocolFailure(let reason, let alert): "TLS failed: \(reason)" + Self.suffix(alert)
        case .truncated: "the connection ended without close_notify"
        case .outputClosed: "the sending side of the TLS connection is closed"
        case .outOfMemory: "no memory for a TLS connection"
        }
    }

    private static func suffix(_ alert: TLSAlert?) -> String {
        alert.map { " (\($0))" } ?? ""
    }
}

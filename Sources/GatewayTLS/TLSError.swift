// SPDX-License-Identifier: Apache-2.0

/// An error that ends a TLS connection, passed through `errorCaught`.
package enum TLSError: Error, Sendable, Equatable {
    /// The handshake failed for OpenSSL's `reason`. `alert` is the alert that was sent or received, if any.
    case handshakeFailed(reason: String, alert: TLSAlert?)
    /// The peer closed the connection during the handshake without an alert, like port scans and health probes.
    case closedDuringHandshake
    /// Plain HTTP was received on the TLS port. A 400 response was sent and the sending side closed; further inbound bytes are discarded
    /// until the peer or the listener closes the connection.
    case plainHTTP
    /// An invalid record or a flood of post-handshake messages.
    case protocolFailure(reason: String, alert: TLSAlert?)
    /// TCP was closed without close_notify (RFC 8446 §6.1). Usually benign: a browser tab was closed. The bytes received before are
    /// authentic but may be incomplete.
    case truncated
    /// A write after close_notify was sent.
    case outputClosed
    /// OpenSSL couldn't allocate a connection.
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

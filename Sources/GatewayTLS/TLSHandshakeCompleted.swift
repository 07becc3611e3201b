// SPDX-License-Identifier: Apache-2.0

/// The inbound user event of ``TLSHandler`` after the handshake. All later bytes are application data.
package struct TLSHandshakeCompleted: Sendable, Hashable {
    package var version: TLSVersion
    /// OpenSSL's name of the cipher, such as `TLS_AES_128_GCM_SHA256`.
    package var cipher: String
    /// The protocol that ALPN negotiated (RFC 7301); `nil` when the client offered none.
    package var applicationProtocol: String?
    /// The requested server name (SNI, RFC 6066 §3) as the client sent it: unverified, at most 255 bytes.
    package var serverName: String?
    /// Whether the session was resumed with a ticket.
    package var isResumed: Bool
    /// The name in the client's verified certificate: its first URI, DNS or e-mail name, or its common name; `nil` without a certificate, and on the
    /// client's side.
    package var peerName: String?

    package init(
        version: TLSVersion, cipher: String, applicationProtocol: String?, serverName: String?, isResumed: Bool, peerName: String? = nil
    ) {
        self.version = version
        self.cipher = cipher
        self.applicationProtocol = applicationProtocol
        self.serverName = serverName
        self.isResumed = isResumed
        self.peerName = peerName
    }
}

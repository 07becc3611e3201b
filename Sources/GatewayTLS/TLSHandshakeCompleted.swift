/// The inbound user event of ``TLSHandler`` at the end of a handshake: from here on bytes are the application's.
package struct TLSHandshakeCompleted: Sendable, Hashable {
    package var version: TLSVersion
    /// OpenSSL's name, such as `TLS_AES_128_GCM_SHA256`.
    package var cipher: String
    /// What ALPN settled on (RFC 7301); `nil` when the client offered nothing.
    package var applicationProtocol: String?
    /// The name that the client asked for (SNI, RFC 6066 §3), as it came: a hint, not a proof, and at most 255 bytes.
    package var serverName: String?
    /// Whether a session ticket spared the certificate.
    package var isResumed: Bool

    package init(version: TLSVersion, cipher: String, applicationProtocol: String?, serverName: String?, isResumed: Bool) {
        self.version = version
        self.cipher = cipher
        self.applicationProtocol = applicationProtocol
        self.serverName = serverName
        self.isResumed = isResumed
    }
}

// SPDX-License-Identifier: Apache-2.0

import COpenSSL

extension TLSConnection {
    /// Returns the results of the handshake. Called once per connection, after ``handshake()`` has returned `done`.
    func summary() -> TLSHandshakeCompleted {
        withSSL { ssl in
            TLSHandshakeCompleted(
                version: TLSVersion(wireValue: SSL_version(ssl)) ?? .v1_2,
                cipher: SSL_get_current_cipher(ssl).flatMap { SSL_CIPHER_get_name($0) }.map { String(cString: $0) } ?? "",
                applicationProtocol: Self.applicationProtocol(of: ssl),
                serverName: SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { String(cString: $0) },
                isResumed: SSL_session_reused(ssl) == 1, peerName: Self.peerName(of: ssl))
        }
    }

    private static func peerName(of ssl: OpaquePointer) -> String? {
        guard SSL_is_server(ssl) == 1, let certificate = SSL_get0_peer_certificate(ssl) else { return nil }
        return PeerName.of(certificate)
    }

    private static func applicationProtocol(of ssl: OpaquePointer) -> String? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &count)
        guard let name, count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }
}

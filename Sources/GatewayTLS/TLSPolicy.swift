// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// The TLS policy for servers and clients: only AEAD ciphers with forward secrecy.
enum TLSPolicy {
    /// The ciphers of TLS 1.2 in the server's order; a client that prefers ChaCha20, because it lacks AES hardware, gets it.
    static let ciphers = """
        ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
        ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
        ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
        """
    static let suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    /// The key exchange groups; the second list is for OpenSSL without X25519 (FIPS).
    static let groups = ["X25519:P-256", "P-256"]
    /// The limit on the size of a client's certificate chain, in bytes.
    static let maxCertificateList = 32 * 1024

    /// Applies the settings that servers and clients share. Returns OpenSSL's reason on failure.
    static func apply(to context: OpaquePointer, minimumVersion: TLSVersion) -> String? {
        OpenSSLErrors.clear()
        SSL_CTX_set_options(
            context,
            PARLEY_SSL_OP_NO_RENEGOTIATION | PARLEY_SSL_OP_NO_COMPRESSION | PARLEY_SSL_OP_CIPHER_SERVER_PREFERENCE
                | PARLEY_SSL_OP_PRIORITIZE_CHACHA)
        // RELEASE_BUFFERS: idle connections keep no record buffers. Our BIO never blocks; the other modes are set in case a write is
        // partial.
        _ = parley_SSL_CTX_set_mode(
            context, Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        _ = parley_SSL_CTX_set_max_cert_list(context, maxCertificateList)
        guard parley_SSL_CTX_set_min_proto_version(context, minimumVersion.wireValue) == 1,
            SSL_CTX_set_cipher_list(context, ciphers) == 1, SSL_CTX_set_ciphersuites(context, suites) == 1,
            groups.contains(where: { parley_SSL_CTX_set1_groups_list(context, $0) == 1 })
        else { return OpenSSLErrors.takeReason() ?? "no reason given" }
        OpenSSLErrors.clear()
        return nil
    }
}

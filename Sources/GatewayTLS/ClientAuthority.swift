// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// The verification of client certificates (`tls.client_auth`, `tls.client_ca`).
struct ClientAuthority {
    private let path: String?
    private let mode: TLSSettings.ClientAuthentication
    /// The session id context, part of every ticket: a session that began with another authority or mode isn't resumed, so that a change
    /// also applies to existing tickets.
    private let sessionContext: [UInt8]

    init(_ settings: TLSSettings) throws(TLSConfigurationError) {
        var authority: [UInt8] = []
        if settings.clientAuthentication != .none {
            guard let path = settings.clientAuthority else { throw TLSConfigurationError(path: nil, .noClientAuthority) }
            authority = try PEMFile.read(path)
            // Parsed only to report a precise error; OpenSSL reads the file again.
            for certificate in try PEMFile.certificates(at: path) { X509_free(certificate) }
        }
        self.path = settings.clientAuthentication == .none ? nil : settings.clientAuthority
        self.mode = settings.clientAuthentication
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        let content = Array("parley.v1 \(settings.clientAuthentication.rawValue) ".utf8) + authority
        guard EVP_Digest(content, content.count, &digest, nil, EVP_sha256(), nil) == 1 else {
            throw TLSConfigurationError(path: nil, .unsupported(OpenSSLErrors.takeReason() ?? "no SHA-256"))
        }
        self.sessionContext = digest
    }

    func install(in context: OpaquePointer) throws(TLSConfigurationError) {
        OpenSSLErrors.clear()
        guard SSL_CTX_set_session_id_context(context, sessionContext, UInt32(sessionContext.count)) == 1 else {
            throw TLSConfigurationError(path: nil, .unsupported(OpenSSLErrors.takeReason() ?? "no reason given"))
        }
        guard let path else { return SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil) }
        guard SSL_CTX_load_verify_file(context, path) == 1, let names = SSL_load_client_CA_file(path) else {
            throw TLSConfigurationError(path: path, .rejected(OpenSSLErrors.takeReason() ?? "no reason given"))
        }
        SSL_CTX_set_client_CA_list(context, names)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (mode == .required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nil)
    }
}

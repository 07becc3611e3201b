// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// The TLS settings of a client: trusted authorities and expected server name. Shared by all connections to the same server.
package final class TLSClientContext: Sendable {
    package enum Verification: Sendable, Hashable {
        /// Verifies against the system's authorities and checks the name.
        case system
        /// Accepts any certificate: for development (`--insecure`).
        case none
        /// Verifies against the authorities of a PEM file and checks the name.
        case authority(path: String)
        /// Verifies against the system's authorities and those of a PEM file, and checks the name.
        case systemAndAuthority(path: String)
    }

    /// A host name or an IP address; `nil` to send and check none.
    private let serverName: String?
    private let verification: Verification
    /// Never changed after `init`, and OpenSSL allows `SSL_new` on such a context from any thread.
    nonisolated(unsafe) private let context: OpaquePointer

    /// - Parameters:
    ///   - serverName: a DNS name, sent to the server (SNI) and checked against its certificate, or an IP address, which is only checked
    ///     (RFC 6066 §3).
    ///   - applicationProtocols: offered by ALPN in this order; each 1–255 bytes, others are ignored. Empty for no ALPN.
    package init(
        verify: Verification, serverName: String?, applicationProtocols: [String] = [], minimumVersion: TLSVersion = .v1_2,
        certificate: TLSSettings.Certificate? = nil
    ) throws(TLSConfigurationError) {
        OpenSSLErrors.clear()
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            throw TLSConfigurationError(path: nil, .unsupported(OpenSSLErrors.takeReason() ?? "no reason given"))
        }
        do throws(TLSConfigurationError) {
            try Self.configure(context, verify, applicationProtocols, minimumVersion)
            // Sent to a server that requests a client certificate.
            if let certificate { try TLSCertificate(certificate).install(in: context) }
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        self.context = context
        self.serverName = serverName
        self.verification = verify
    }

    deinit {
        SSL_CTX_free(context)
    }

    /// Returns `nil` when OpenSSL is out of memory or rejects the name.
    func makeConnection(buffers: TLSBuffers) -> TLSConnection? {
        guard let connection = TLSConnection(sslContext: context, keeping: self, isServer: false, buffers: buffers) else { return nil }
        guard let serverName else { return connection }
        let isReady = connection.withSSL { ssl in
            guard let parameters = SSL_get0_param(ssl) else { return false }
            if X509_VERIFY_PARAM_set1_ip_asc(parameters, serverName) == 1 { return true }
            ERR_clear_error()
            SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
            guard parley_SSL_set_tlsext_host_name(ssl, serverName) == 1 else { return false }
            return verification == .none || SSL_set1_host(ssl, serverName) == 1
        }
        return isReady ? connection : nil
    }

    private static func configure(
        _ context: OpaquePointer, _ verification: Verification, _ protocols: [String], _ minimumVersion: TLSVersion
    ) throws(TLSConfigurationError) {
        if let reason = TLSPolicy.apply(to: context, minimumVersion: minimumVersion) {
            throw TLSConfigurationError(path: nil, .unsupported(reason))
        }
        _ = parley_SSL_CTX_set_session_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        switch verification {
        case .none:
            SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        case .system:
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            try trustSystem(context)
        case .authority(let path):
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            try trust(path, context)
        case .systemAndAuthority(let path):
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            try trustSystem(context)
            try trust(path, context)
        }
        let list = protocols.map { Array($0.utf8) }.filter { (1...255).contains($0.count) }.flatMap { [UInt8($0.count)] + $0 }
        // This function returns 0 on success.
        if !list.isEmpty, SSL_CTX_set_alpn_protos(context, list, UInt32(list.count)) != 0 {
            throw TLSConfigurationError(path: nil, .unsupported("ALPN"))
        }
    }

    private static func trustSystem(_ context: OpaquePointer) throws(TLSConfigurationError) {
        guard SSL_CTX_set_default_verify_paths(context) == 1 else {
            throw TLSConfigurationError(path: nil, .unsupported(OpenSSLErrors.takeReason() ?? "no system authorities"))
        }
    }

    /// Trusts the authorities of a PEM file.
    private static func trust(_ path: String, _ context: OpaquePointer) throws(TLSConfigurationError) {
        for certificate in try PEMFile.certificates(at: path) { X509_free(certificate) }
        guard SSL_CTX_load_verify_file(context, path) == 1 else {
            throw TLSConfigurationError(path: path, .rejected(OpenSSLErrors.takeReason() ?? "no reason given"))
        }
    }
}

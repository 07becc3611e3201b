// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A certificate with its chain and its key, read from files and checked to match.
final class TLSCertificate {
    /// The kind of key: an `SSL_CTX` holds one certificate of each kind, and OpenSSL selects one that the client supports.
    enum KeyKind: Hashable {
        case rsa, ecdsa, other(Int32)
    }

    let files: TLSSettings.Certificate
    let kind: KeyKind
    /// The DNS names of the subjectAltName in lower case; wildcards as `*.example.org`.
    let names: [String]
    /// Seconds since 1970.
    let notBefore: Int64
    let notAfter: Int64

    private let leaf: OpaquePointer
    private let chain: [OpaquePointer]
    private let key: OpaquePointer

    init(_ files: TLSSettings.Certificate) throws(TLSConfigurationError) {
        let certificates = try PEMFile.certificates(at: files.certificate)
        let leaf = certificates[0]
        let key: OpaquePointer
        do throws(TLSConfigurationError) {
            key = try PEMFile.key(at: files.key)
            guard X509_check_private_key(leaf, key) == 1 else {
                EVP_PKEY_free(key)
                throw TLSConfigurationError(path: files.key, .mismatch(certificate: files.certificate))
            }
        } catch {
            ERR_clear_error()
            for certificate in certificates { X509_free(certificate) }
            throw error
        }
        self.files = files
        self.leaf = leaf
        self.chain = Array(certificates.dropFirst())
        self.key = key
        self.kind =
            switch EVP_PKEY_get_base_id(key) {
            case EVP_PKEY_RSA: .rsa
            case EVP_PKEY_EC: .ecdsa
            case let other: .other(other)
            }
        self.names = Self.names(of: leaf)
        var notBefore: Int64 = 0
        var notAfter: Int64 = 0
        // A date that can't be parsed counts as 1970: the certificate is reported as expired.
        _ = parley_unix_time(X509_get0_notBefore(leaf), &notBefore)
        _ = parley_unix_time(X509_get0_notAfter(leaf), &notAfter)
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    deinit {
        X509_free(leaf)
        for certificate in chain { X509_free(certificate) }
        EVP_PKEY_free(key)
    }

    /// Adds the certificate to a context, which retains its parts.
    func install(in context: OpaquePointer) throws(TLSConfigurationError) {
        OpenSSLErrors.clear()
        guard SSL_CTX_use_certificate(context, leaf) == 1 else { throw rejected(files.certificate) }
        for certificate in chain {
            guard parley_SSL_CTX_add1_chain_cert(context, certificate) == 1 else { throw rejected(files.certificate) }
        }
        guard SSL_CTX_use_PrivateKey(context, key) == 1 else { throw rejected(files.key) }
    }

    /// Returns the warning about the validity at `now` (seconds since 1970), if any.
    func warning(now: Int64) -> TLSWarning? { dates.warning(now: now) }

    var dates: CertificateDates {
        CertificateDates(path: files.certificate, name: names.first ?? "", notBefore: notBefore, notAfter: notAfter)
    }

    private func rejected(_ path: String) -> TLSConfigurationError {
        TLSConfigurationError(path: path, .rejected(OpenSSLErrors.takeReason() ?? "no reason given"))
    }

    private static func names(of certificate: OpaquePointer) -> [String] {
        var names: [String] = []
        withUnsafeMutablePointer(to: &names) { names in
            parley_visit_names(certificate, GEN_DNS, names) { argument, bytes, count in
                guard let argument, let bytes, count > 0 else { return }
                let name = String(decoding: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
                argument.assumingMemoryBound(to: [String].self).pointee.append(name.lowercased())
            }
        }
        ERR_clear_error()
        return names
    }
}

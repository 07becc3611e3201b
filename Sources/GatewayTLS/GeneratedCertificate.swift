// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A certificate that this process created and signed: for the development environment and tests.
package final class GeneratedCertificate: Sendable {
    package struct Request: Sendable {
        /// The DNS names and IP addresses of the subjectAltName, validated by the caller. The first is also the common name.
        package var names: [String]
        /// Seconds since 1970.
        package var notBefore: Int64
        package var notAfter: Int64
        /// Whether the certificate may sign others.
        package var isAuthority = false
        /// Whether the certificate is for servers only (extended key usage).
        package var isForServers = false

        package init(
            names: [String], notBefore: Int64, notAfter: Int64, isAuthority: Bool = false, isForServers: Bool = false
        ) {
            self.names = names
            self.notBefore = notBefore
            self.notAfter = notAfter
            self.isAuthority = isAuthority
            self.isForServers = isForServers
        }
    }

    package let pem: String
    private let key: GeneratedKey
    /// Never changed after `init`.
    nonisolated(unsafe) private let pointer: OpaquePointer

    /// - Parameter issuer: nil for a self-signed certificate
    package init(_ request: Request, key: GeneratedKey, issuer: GeneratedCertificate? = nil) throws(TLSConfigurationError) {
        OpenSSLErrors.clear()
        guard let certificate = X509_new() else { throw Self.failure() }
        guard Self.fill(certificate, request, key: key, issuer: issuer),
            let text = Self.pem({ PEM_write_bio_X509($0, certificate) })
        else {
            X509_free(certificate)
            throw Self.failure()
        }
        self.key = key
        pointer = certificate
        pem = text
    }

    deinit { X509_free(pointer) }

    private static func fill(
        _ certificate: OpaquePointer, _ request: Request, key: GeneratedKey, issuer: GeneratedCertificate?
    ) -> Bool {
        guard let subject = X509_get_subject_name(certificate) else { return false }
        // ASN.1 integers are signed, and the serial number must be positive.
        let serial = UInt64.random(in: 1...UInt64(Int64.max))
        let commonName = request.names.first ?? "nobody"
        guard X509_set_version(certificate, 2) == 1,
            ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial) == 1,
            ASN1_TIME_set(X509_getm_notBefore(certificate), Int(request.notBefore)) != nil,
            ASN1_TIME_set(X509_getm_notAfter(certificate), Int(request.notAfter)) != nil,
            X509_NAME_add_entry_by_NID(subject, NID_commonName, PARLEY_MBSTRING_UTF8, commonName, -1, -1, 0) == 1,
            X509_set_issuer_name(certificate, issuer.map { X509_get_subject_name($0.pointer) } ?? subject) == 1,
            X509_set_pubkey(certificate, key.pointer) == 1
        else { return false }
        var extensions = [
            (NID_basic_constraints, request.isAuthority ? "critical,CA:TRUE" : "critical,CA:FALSE"),
            (NID_key_usage, request.isAuthority ? "critical,digitalSignature,keyCertSign" : "critical,digitalSignature"),
        ]
        if request.isForServers { extensions.append((NID_ext_key_usage, "serverAuth")) }
        if !request.names.isEmpty {
            extensions.append((NID_subject_alt_name, request.names.map(alternativeName).joined(separator: ",")))
        }
        for (name, value) in extensions where parley_X509_add_extension(certificate, name, value) != 1 { return false }
        // Returns the size of the signature.
        return X509_sign(certificate, (issuer?.key ?? key).pointer, EVP_sha256()) > 0
    }

    private static func alternativeName(_ name: String) -> String {
        let isAddress =
            name.contains(":")
            || name.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }.count(where: { $0 != nil }) == 4
        return (isAddress ? "IP:" : "DNS:") + name
    }

    /// Returns the text that `write` writes to a BIO; nil if writing fails.
    static func pem(_ write: (OpaquePointer) -> Int32) -> String? {
        guard let bio = parley_BIO_new_memory() else { return nil }
        defer { BIO_free(bio) }
        guard write(bio) == 1 else { return nil }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = BIO_read(bio, &part, Int32(part.count))
            guard count > 0 else { break }
            bytes += part.prefix(Int(count))
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func failure() -> TLSConfigurationError {
        TLSConfigurationError(path: nil, .unsupported("a new certificate: \(OpenSSLErrors.takeReason() ?? "no reason given")"))
    }
}

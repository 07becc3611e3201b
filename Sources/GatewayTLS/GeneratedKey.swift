import COpenSSL

/// A private key made here.
package final class GeneratedKey: Sendable {
    package enum Kind: Sendable {
        case p256
        /// 2048 bits.
        case rsa
    }

    /// PKCS#8 for P-256, PKCS#1 for RSA.
    package let pem: String
    /// Never changed after `init`.
    nonisolated(unsafe) let pointer: OpaquePointer

    package init(_ kind: Kind) throws(TLSConfigurationError) {
        OpenSSLErrors.clear()
        let made =
            switch kind {
            case .p256: parley_generate_p256()
            case .rsa: parley_generate_rsa(2048)
            }
        guard let made else { throw GeneratedCertificate.failure() }
        let text = GeneratedCertificate.pem { bio in
            switch kind {
            case .p256: PEM_write_bio_PKCS8PrivateKey(bio, made, nil, nil, 0, nil, nil)
            case .rsa: PEM_write_bio_PrivateKey_traditional(bio, made, nil, nil, 0, nil, nil)
            }
        }
        guard let text else {
            EVP_PKEY_free(made)
            throw GeneratedCertificate.failure()
        }
        pointer = made
        pem = text
    }

    deinit { EVP_PKEY_free(pointer) }
}

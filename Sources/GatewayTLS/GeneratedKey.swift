// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A private key that this process generated.
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
        let generated =
            switch kind {
            case .p256: parley_generate_p256()
            case .rsa: parley_generate_rsa(2048)
            }
        guard let generated else { throw GeneratedCertificate.failure() }
        let text = GeneratedCertificate.pem { bio in
            switch kind {
            case .p256: PEM_write_bio_PKCS8PrivateKey(bio, generated, nil, nil, 0, nil, nil)
            case .rsa: PEM_write_bio_PrivateKey_traditional(bio, generated, nil, nil, 0, nil, nil)
            }
        }
        guard let text else {
            EVP_PKEY_free(generated)
            throw GeneratedCertificate.failure()
        }
        pointer = generated
        pem = text
    }

    deinit { EVP_PKEY_free(pointer) }
}

// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A private key that this process generated.
package final class GeneratedKey: Sendable {
    package enum Kind: Sendable {
        case p256
        case p384
        case p521
        case ed25519
        case ed448
        /// 2048 bits.
        case rsa
    }

    /// PKCS#1 for RSA, PKCS#8 for the others.
    package let pem: String
    /// Never changed after `init`.
    nonisolated(unsafe) let pointer: OpaquePointer

    package init(_ kind: Kind) throws(TLSConfigurationError) {
        OpenSSLErrors.clear()
        let generated =
            switch kind {
            case .p256: parley_generate_ec("P-256")
            case .p384: parley_generate_ec("P-384")
            case .p521: parley_generate_ec("P-521")
            case .ed25519: parley_generate_key("ED25519")
            case .ed448: parley_generate_key("ED448")
            case .rsa: parley_generate_rsa(2048)
            }
        guard let generated else { throw GeneratedCertificate.failure() }
        let text = GeneratedCertificate.pem { bio in
            switch kind {
            case .p256, .p384, .p521, .ed25519, .ed448: PEM_write_bio_PKCS8PrivateKey(bio, generated, nil, nil, 0, nil, nil)
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

    /// The public key as PEM (SubjectPublicKeyInfo).
    package var publicPEM: String? { GeneratedCertificate.pem { PEM_write_bio_PUBKEY($0, pointer) } }

    deinit { EVP_PKEY_free(pointer) }
}

// SPDX-License-Identifier: Apache-2.0

import COpenSSL
package import GatewayCore

// MARK: Files

extension SignatureKey {
    /// Reads a public key (SubjectPublicKeyInfo) or the key of a certificate from a PEM file. A private key is rejected.
    package convenience init(publicKeyFile path: String, algorithm: SignatureAlgorithm) throws(SignatureKeyFault) {
        let bytes: [UInt8]
        do throws(TLSConfigurationError) { bytes = try PEMFile.read(path) } catch { throw SignatureKeyFault(path, error) }
        do throws(SignatureKeyFault) {
            try self.init(publicKeyPEM: bytes, algorithm: algorithm)
        } catch {
            throw SignatureKeyFault(path: path, error.reason)
        }
    }

    /// Parses a public key (SubjectPublicKeyInfo) or the key of a certificate from PEM text. A private key is rejected.
    package convenience init(publicKeyPEM bytes: [UInt8], algorithm: SignatureAlgorithm?) throws(SignatureKeyFault) {
        guard !String(decoding: bytes, as: UTF8.self).contains("PRIVATE KEY-----") else { throw SignatureKeyFault(.privateKey) }
        var key: OpaquePointer?
        PEMFile.withBIO(bytes) { key = PEM_read_bio_PUBKEY($0, nil, nil, nil) }
        if key == nil {
            PEMFile.withBIO(bytes) { bio in
                guard let certificate = PEM_read_bio_X509(bio, nil, nil, nil) else { return }
                key = X509_get_pubkey(certificate)
                X509_free(certificate)
            }
        }
        ERR_clear_error()
        guard let key else { throw SignatureKeyFault(.notAPublicKey) }
        try self.init(owning: key, isPrivate: false, algorithm: algorithm)
    }

    /// Reads a private key without a passphrase from a PEM file.
    package convenience init(privateKeyFile path: String, algorithm: SignatureAlgorithm?) throws(SignatureKeyFault) {
        let key: OpaquePointer
        do throws(TLSConfigurationError) { key = try PEMFile.key(at: path) } catch { throw SignatureKeyFault(path, error) }
        do throws(SignatureKeyFault) {
            try self.init(owning: key, isPrivate: true, algorithm: algorithm)
        } catch {
            throw SignatureKeyFault(path: path, error.reason)
        }
    }

    /// Parses a private key without a passphrase from PEM text.
    package convenience init(privateKeyPEM bytes: [UInt8], algorithm: SignatureAlgorithm?) throws(SignatureKeyFault) {
        let key: OpaquePointer
        do throws(TLSConfigurationError) {
            key = try PEMFile.key(in: bytes, path: nil)
        } catch {
            throw SignatureKeyFault(.file(error.problems.first?.reason ?? .notAKey))
        }
        try self.init(owning: key, isPrivate: true, algorithm: algorithm)
    }

    /// Generates a key on P-256, for ES256, and returns it with its PEM text (PKCS #8).
    package static func generate() throws(SignatureKeyFault) -> (key: SignatureKey, pem: String) {
        let generated: GeneratedKey
        do throws(TLSConfigurationError) { generated = try GeneratedKey(.p256) } catch { throw failure() }
        guard EVP_PKEY_up_ref(generated.pointer) == 1 else { throw failure() }
        return (try SignatureKey(owning: generated.pointer, isPrivate: true, algorithm: .es256), generated.pem)
    }
}

extension SignatureKeyFault {
    fileprivate init(_ path: String, _ error: TLSConfigurationError) {
        self.init(path: path, .file(error.problems.first?.reason ?? .notAKey))
    }
}

// MARK: Parameters

extension SignatureKey {
    /// Constructs a public key from the members of a JSON Web Key.
    ///
    /// - Parameter algorithm: the only algorithm that the key serves; nil for all that its kind allows
    package convenience init(_ parameters: PublicKeyParameters, algorithm: SignatureAlgorithm?) throws(SignatureKeyFault) {
        OpenSSLErrors.clear()
        defer { OpenSSLErrors.clear() }
        let key: OpaquePointer
        switch parameters {
        case .rsa(let modulus, let exponent): key = try Self.rsa(modulus, exponent)
        case .elliptic(let curve, let x, let y):
            guard x.count == curve.size, y.count == curve.size,
                // An uncompressed point (SEC 1 §2.3.3). OpenSSL rejects coordinates that aren't on the curve.
                let point = parley_public_ec(curve.rawValue, [4] + x + y, 1 + 2 * curve.size)
            else { throw SignatureKeyFault(.invalidPoint) }
            key = point
        case .edwards(let curve, let x):
            guard x.count == curve.size, let point = EVP_PKEY_new_raw_public_key_ex(nil, curve.rawValue, nil, x, x.count) else {
                throw SignatureKeyFault(.invalidPoint)
            }
            key = point
        }
        try self.init(owning: key, isPrivate: false, algorithm: algorithm)
    }

    private static func rsa(_ modulus: [UInt8], _ exponent: [UInt8]) throws(SignatureKeyFault) -> OpaquePointer {
        // 16384 bits. Leading zeros are tolerated only within the size: the numbers are what counts.
        guard modulus.count <= 2048 else { throw SignatureKeyFault(.invalidModulus) }
        guard exponent.count <= 8 else { throw SignatureKeyFault(.invalidExponent) }
        guard let key = parley_public_rsa(modulus, Int32(modulus.count), exponent, Int32(exponent.count)) else {
            throw SignatureKeyFault(.invalidModulus)
        }
        return key
    }

    // MARK: Checks

    /// Returns the algorithms that a key's kind and curve allow. Fails if the key is weak or of another kind.
    static func algorithms(of key: OpaquePointer) throws(SignatureKeyFault) -> [SignatureAlgorithm] {
        switch EVP_PKEY_get_base_id(key) {
        case EVP_PKEY_RSA:
            try checkRSA(key)
            return SignatureAlgorithm.all(of: .rsa)
        case EVP_PKEY_EC: return [try curve(of: key).algorithm]
        case EVP_PKEY_ED25519, EVP_PKEY_ED448: return [.edDSA]
        default: throw SignatureKeyFault(.unsupportedKind)
        }
    }

    private static func checkRSA(_ key: OpaquePointer) throws(SignatureKeyFault) {
        var modulus: OpaquePointer?
        var exponent: OpaquePointer?
        defer {
            BN_free(modulus)
            BN_free(exponent)
        }
        guard EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1, let modulus, BN_is_odd(modulus) == 1,
            (2048...16384).contains(BN_num_bits(modulus))
        else { throw SignatureKeyFault(.invalidModulus) }
        guard EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1, let exponent, BN_is_odd(exponent) == 1,
            (2...64).contains(BN_num_bits(exponent))
        else { throw SignatureKeyFault(.invalidExponent) }
    }

    private static func curve(of key: OpaquePointer) throws(SignatureKeyFault) -> EllipticCurve {
        var name = [CChar](repeating: 0, count: 64)
        var count = 0
        guard EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1, count < name.count else {
            throw SignatureKeyFault(.unsupportedKind)
        }
        switch String(decoding: name.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) {
        case "prime256v1", "P-256": return .p256
        case "secp384r1", "P-384": return .p384
        case "secp521r1", "P-521": return .p521
        default: throw SignatureKeyFault(.unsupportedKind)
        }
    }
}

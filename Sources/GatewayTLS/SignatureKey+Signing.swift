// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import GatewayCore

extension SignatureAlgorithm {
    /// OpenSSL's digest; nil for EdDSA.
    fileprivate var evpDigest: OpaquePointer? {
        switch digest {
        case .sha256: EVP_sha256()
        case .sha384: EVP_sha384()
        case .sha512: EVP_sha512()
        case nil: nil
        }
    }

    /// The size of each half of an ECDSA signature in bytes; nil for other algorithms.
    fileprivate var halfSize: Int? { EllipticCurve.allCases.first { $0.algorithm == self }?.size }
}

// MARK: HMAC

extension SignatureKey {
    static func mac(_ secret: [UInt8], _ algorithm: SignatureAlgorithm, of message: ArraySlice<UInt8>) -> [UInt8]? {
        guard let digest = algorithm.evpDigest else { return nil }
        var count: UInt32 = 0
        var code = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        let succeeded = message.withUnsafeBufferPointer { message in
            // Secrets are at most 1 MiB.
            HMAC(digest, secret, Int32(truncatingIfNeeded: secret.count), message.baseAddress, message.count, &code, &count) != nil
        }
        guard succeeded else { return nil }
        code.removeLast(code.count - Int(count))
        return code
    }

    /// Compares in constant time.
    static func verifyMAC(
        _ secret: [UInt8], _ algorithm: SignatureAlgorithm, signature: [UInt8], over message: ArraySlice<UInt8>
    ) -> Bool {
        guard let code = mac(secret, algorithm, of: message), code.count == signature.count else { return false }
        return CRYPTO_memcmp(code, signature, code.count) == 0
    }
}

// MARK: Key pairs

extension SignatureKey {
    static func verify(
        _ key: OpaquePointer, _ algorithm: SignatureAlgorithm, signature: [UInt8], over message: ArraySlice<UInt8>
    ) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        var parameters: OpaquePointer?
        guard EVP_DigestVerifyInit(context, &parameters, algorithm.evpDigest, nil, key) == 1, pad(parameters, algorithm) else {
            return false
        }
        var encoded = signature
        if let size = algorithm.halfSize {
            guard let der = distinguishedEncoding(signature, halfSize: size) else { return false }
            encoded = der
        }
        return message.withUnsafeBufferPointer {
            EVP_DigestVerify(context, encoded, encoded.count, $0.baseAddress, $0.count) == 1
        }
    }

    static func sign(_ key: OpaquePointer, _ algorithm: SignatureAlgorithm, _ message: ArraySlice<UInt8>) -> [UInt8]? {
        guard let context = EVP_MD_CTX_new() else { return nil }
        defer { EVP_MD_CTX_free(context) }
        var parameters: OpaquePointer?
        guard EVP_DigestSignInit(context, &parameters, algorithm.evpDigest, nil, key) == 1, pad(parameters, algorithm) else {
            return nil
        }
        let signature: [UInt8]? = message.withUnsafeBufferPointer { message in
            var count = 0
            guard EVP_DigestSign(context, nil, &count, message.baseAddress, message.count) == 1 else { return nil }
            var signature = [UInt8](repeating: 0, count: count)
            guard EVP_DigestSign(context, &signature, &count, message.baseAddress, message.count) == 1 else { return nil }
            signature.removeLast(signature.count - count)
            return signature
        }
        guard let signature, let size = algorithm.halfSize else { return signature }
        return fixedEncoding(signature, halfSize: size)
    }

    /// Selects PSS with a salt as long as the digest (RFC 7518 §3.5), where the algorithm requires it. OpenSSL's default is PKCS #1 v1.5.
    private static func pad(_ parameters: OpaquePointer?, _ algorithm: SignatureAlgorithm) -> Bool {
        guard algorithm.isPSS else { return true }
        return EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1
            && EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1
    }

    // MARK: ECDSA

    /// Converts a signature of the halves r and s of equal size (RFC 7518 §3.4) to the DER that OpenSSL requires; nil for any other size.
    private static func distinguishedEncoding(_ signature: [UInt8], halfSize: Int) -> [UInt8]? {
        guard signature.count == 2 * halfSize, let pair = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(pair) }
        let isSet = signature.withUnsafeBufferPointer { bytes in
            // The size of a half is at most 66 bytes.
            guard let base = bytes.baseAddress, let r = BN_bin2bn(base, Int32(halfSize), nil) else { return false }
            guard let s = BN_bin2bn(base + halfSize, Int32(halfSize), nil) else {
                BN_free(r)
                return false
            }
            // The pair owns both numbers.
            return ECDSA_SIG_set0(pair, r, s) == 1
        }
        var output: UnsafeMutablePointer<UInt8>?
        let count = i2d_ECDSA_SIG(pair, &output)
        guard isSet, count > 0, let output else { return nil }
        defer { parley_OPENSSL_free(output) }
        return Array(UnsafeBufferPointer(start: output, count: Int(count)))
    }

    /// Converts a signature from DER to its two halves.
    private static func fixedEncoding(_ signature: [UInt8], halfSize: Int) -> [UInt8]? {
        signature.withUnsafeBufferPointer { bytes in
            var position = bytes.baseAddress
            guard let pair = d2i_ECDSA_SIG(nil, &position, bytes.count) else { return nil }
            defer { ECDSA_SIG_free(pair) }
            var halves = [UInt8](repeating: 0, count: 2 * halfSize)
            let size = Int32(halfSize)
            let isWritten = halves.withUnsafeMutableBufferPointer { halves in
                guard let base = halves.baseAddress else { return false }
                return BN_bn2binpad(ECDSA_SIG_get0_r(pair), base, size) == size
                    && BN_bn2binpad(ECDSA_SIG_get0_s(pair), base + halfSize, size) == size
            }
            return isWritten ? halves : nil
        }
    }
}

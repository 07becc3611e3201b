// SPDX-License-Identifier: Apache-2.0

import COpenSSL
package import GatewayCore

/// A key that verifies token signatures, and signs if it is a secret or a private key.
///
/// The algorithms belong to the key: a signature of any other algorithm is invalid, whatever the token claims.
package final class SignatureKey: Sendable {
    enum Material {
        case secret([UInt8])
        /// An `EVP_PKEY`, which the key owns.
        case pair(OpaquePointer)
    }

    /// The algorithms that the key serves, at least one. Several only for a secret, and for an RSA key without a declared algorithm.
    package let algorithms: [SignatureAlgorithm]
    /// Whether the key can sign.
    package let isPrivate: Bool
    /// Never changed after `init`. OpenSSL locks what it caches in an `EVP_PKEY`, so that threads may verify at the same time.
    nonisolated(unsafe) let material: Material

    /// Takes ownership of `pointer`, also on failure.
    ///
    /// - Parameter algorithm: the only algorithm that the key serves; nil for all that its kind allows
    init(owning pointer: OpaquePointer, isPrivate: Bool, algorithm: SignatureAlgorithm?) throws(SignatureKeyFault) {
        do throws(SignatureKeyFault) {
            let allowed = try Self.algorithms(of: pointer)
            if let algorithm, !allowed.contains(algorithm) { throw SignatureKeyFault(.wrongAlgorithm(algorithm)) }
            algorithms = algorithm.map { [$0] } ?? allowed
        } catch {
            EVP_PKEY_free(pointer)
            throw error
        }
        self.isPrivate = isPrivate
        material = .pair(pointer)
    }

    /// A secret of at least 32 bytes, for HS256, HS384 and HS512.
    package init(secret: [UInt8]) throws(SignatureKeyFault) {
        guard secret.count >= 32, secret.count <= PEMFile.maxBytes else { throw SignatureKeyFault(.shortSecret) }
        algorithms = SignatureAlgorithm.all(of: .hmac)
        isPrivate = true
        material = .secret(secret)
    }

    deinit {
        if case .pair(let pointer) = material { EVP_PKEY_free(pointer) }
    }

    /// Returns whether `signature`, in its JWS encoding, is the key's signature of `message` by `algorithm`.
    package func verify(_ algorithm: SignatureAlgorithm, signature: [UInt8], over message: ArraySlice<UInt8>) -> Bool {
        guard algorithms.contains(algorithm) else { return false }
        switch material {
        case .secret(let secret): return Self.verifyMAC(secret, algorithm, signature: signature, over: message)
        case .pair(let pointer):
            OpenSSLErrors.clear()
            defer { OpenSSLErrors.clear() }
            return Self.verify(pointer, algorithm, signature: signature, over: message)
        }
    }

    /// Returns the signature of `message` by `algorithm`, in its JWS encoding. Fails if the key is public or doesn't serve the algorithm.
    package func sign(_ algorithm: SignatureAlgorithm, _ message: ArraySlice<UInt8>) throws(SignatureKeyFault) -> [UInt8] {
        guard isPrivate, algorithms.contains(algorithm) else { throw SignatureKeyFault(.wrongAlgorithm(algorithm)) }
        let signature: [UInt8]?
        switch material {
        case .secret(let secret): signature = Self.mac(secret, algorithm, of: message)
        case .pair(let pointer):
            OpenSSLErrors.clear()
            signature = Self.sign(pointer, algorithm, message)
        }
        guard let signature else { throw Self.failure() }
        return signature
    }

    static func failure() -> SignatureKeyFault {
        SignatureKeyFault(.failed(OpenSSLErrors.takeReason() ?? "no reason given"))
    }
}

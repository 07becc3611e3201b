// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The reason why a key can't verify or sign tokens.
package struct SignatureKeyFault: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Reason: Sendable, Hashable {
        /// The file can't be read or holds no key, for this reason.
        case file(TLSConfigurationError.Reason)
        case notAPublicKey
        /// A private key in place of a public key.
        case privateKey
        /// The secret is shorter than 32 bytes.
        case shortSecret
        /// Neither RSA nor P-256, P-384, P-521, Ed25519 or Ed448.
        case unsupportedKind
        /// The key can't be used with the algorithm that is bound to it.
        case wrongAlgorithm(SignatureAlgorithm)
        /// The modulus isn't an odd number of 2048 to 16384 bits.
        case invalidModulus
        /// The public exponent isn't an odd number from 3 to 2^64 - 1.
        case invalidExponent
        /// The parameters aren't a point of the curve, each coordinate in its full size.
        case invalidPoint
        /// OpenSSL fails, for this reason.
        case failed(String)
    }

    /// The affected file; nil if the key isn't from a file.
    package var path: String?
    package var reason: Reason

    package init(path: String? = nil, _ reason: Reason) {
        self.path = path
        self.reason = reason
    }

    package var description: String { (path.map { $0 + ": " } ?? "") + reason.text }
}

extension SignatureKeyFault.Reason {
    /// The reason as text, without the path.
    package var text: String {
        switch self {
        case .file(let reason): reason.text
        case .notAPublicKey: "contains neither a PEM public key nor a certificate"
        case .privateKey: "contains a private key; provide its public key (openssl pkey -pubout)"
        case .shortSecret: "a secret must have at least 32 bytes"
        case .unsupportedKind: "unsupported kind of key; use RSA, P-256, P-384, P-521, Ed25519 or Ed448"
        case .wrongAlgorithm(let algorithm): "the key can't be used with \(algorithm.rawValue)"
        case .invalidModulus: "the RSA modulus must be an odd number of 2048 to 16384 bits"
        case .invalidExponent: "the RSA exponent must be an odd number from 3 to 2^64 - 1"
        case .invalidPoint: "the public key isn't a point of its curve"
        case .failed(let reason): "rejected by OpenSSL: \(reason)"
        }
    }
}

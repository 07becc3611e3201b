// SPDX-License-Identifier: Apache-2.0

/// The parameters of a public key as a JSON Web Key lists them, after base64url decoding (RFC 7518 §6, RFC 8037 §2).
///
/// The values are unchecked: a key is constructed from them, and only that rejects points that aren't on the curve or weak moduli.
package enum PublicKeyParameters: Sendable, Hashable {
    /// `kty` `RSA`: the members `n` and `e`, big-endian.
    case rsa(modulus: [UInt8], exponent: [UInt8])
    /// `kty` `EC`: the members `x` and `y`, each as long as the curve's field.
    case elliptic(EllipticCurve, x: [UInt8], y: [UInt8])
    /// `kty` `OKP`: the member `x`.
    case edwards(EdwardsCurve, x: [UInt8])
}

/// The curves of ECDSA keys, by their names in `crv` (RFC 7518 §6.2.1.1). Each is bound to one algorithm.
package enum EllipticCurve: String, Sendable, CaseIterable {
    case p256 = "P-256"
    case p384 = "P-384"
    case p521 = "P-521"

    package var algorithm: SignatureAlgorithm {
        switch self {
        case .p256: .es256
        case .p384: .es384
        case .p521: .es512
        }
    }

    /// The size of a coordinate, and of each half of a signature, in bytes.
    package var size: Int {
        switch self {
        case .p256: 32
        case .p384: 48
        case .p521: 66
        }
    }
}

/// The curves of EdDSA keys, by their names in `crv` (RFC 8037 §3.1).
package enum EdwardsCurve: String, Sendable, CaseIterable {
    case ed25519 = "Ed25519"
    case ed448 = "Ed448"

    /// The size of a public key in bytes (RFC 8032 §5.1.5, §5.2.5). A signature has twice the size.
    package var size: Int {
        switch self {
        case .ed25519: 32
        case .ed448: 57
        }
    }
}

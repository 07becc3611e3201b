// SPDX-License-Identifier: Apache-2.0

/// The algorithms of token signatures, by their JOSE names (RFC 7518 §3.1, RFC 8037 §3.1). `none` isn't among them.
package enum SignatureAlgorithm: String, Sendable, CaseIterable {
    case hs256 = "HS256"
    case hs384 = "HS384"
    case hs512 = "HS512"
    case rs256 = "RS256"
    case rs384 = "RS384"
    case rs512 = "RS512"
    case ps256 = "PS256"
    case ps384 = "PS384"
    case ps512 = "PS512"
    case es256 = "ES256"
    case es384 = "ES384"
    case es512 = "ES512"
    /// Ed25519 or Ed448, as the key's curve determines.
    case edDSA = "EdDSA"

    /// The kind of key that an algorithm requires.
    package enum Family: Sendable {
        /// A secret shared by the issuer and the gateway (HMAC).
        case hmac
        /// RSA with PKCS #1 v1.5 padding or with PSS; a key without a declared algorithm serves both.
        case rsa
        case ecdsa
        case edwards
    }

    package enum Digest: Sendable { case sha256, sha384, sha512 }

    package var family: Family {
        switch self {
        case .hs256, .hs384, .hs512: .hmac
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: .rsa
        case .es256, .es384, .es512: .ecdsa
        case .edDSA: .edwards
        }
    }

    /// The digest that is signed; nil for EdDSA, which includes its own.
    package var digest: Digest? {
        switch self {
        case .hs256, .rs256, .ps256, .es256: .sha256
        case .hs384, .rs384, .ps384, .es384: .sha384
        case .hs512, .rs512, .ps512, .es512: .sha512
        case .edDSA: nil
        }
    }

    /// Whether the padding is RSASSA-PSS (RFC 7518 §3.5).
    package var isPSS: Bool {
        switch self {
        case .ps256, .ps384, .ps512: true
        default: false
        }
    }

    /// The algorithms of a family in the order of their digests.
    package static func all(of family: Family) -> [SignatureAlgorithm] { allCases.filter { $0.family == family } }
}

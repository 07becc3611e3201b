// SPDX-License-Identifier: Apache-2.0

/// The reason why a JWK set can't be used. The texts are for logs and contain nothing of the set.
package enum JWKSetFault: String, Error, Sendable, CaseIterable {
    case tooLong = "the JWK set exceeds 1 MiB"
    case invalidJSON = "the JWK set isn't a strict JSON object"
    case duplicateMember = "the JWK set has duplicate members"
    case missingKeys = "the JWK set has no array keys"
    case tooManyKeys = "the JWK set has more than 100 keys"
    case noUsableKey = "the JWK set has no usable key"
}

/// The reason why one key of a JWK set is skipped. The texts are for logs and contain nothing of the key.
package enum JWKFault: String, Error, Sendable, CaseIterable {
    case notAnObject = "the key isn't a strict JSON object"
    case duplicateMember = "the key has duplicate members"
    case privateKey = "the key is private or a secret, which a JWK set must not contain; replace the key and what it has signed"
    case missingType = "kty is missing"
    case unsupportedType = "kty isn't RSA, EC or OKP"
    case unsupportedCurve = "crv isn't P-256, P-384 or P-521 (EC), or Ed25519 or Ed448 (OKP)"
    case otherUse = "the key isn't for verifying signatures (use, key_ops)"
    case unsupportedAlgorithm = "alg isn't a supported signature algorithm"
    case wrongAlgorithm = "the key can't be used with its alg"
    case invalidKeyID = "kid isn't a string of 1 to 256 bytes"
    case invalidParameter = "n and e, or x and y, aren't base64url without padding"

    /// Whether sets usually contain such keys, for encryption or for algorithms that the gateway doesn't have.
    package var isUsual: Bool {
        switch self {
        case .unsupportedType, .unsupportedCurve, .otherUse, .unsupportedAlgorithm: true
        default: false
        }
    }
}

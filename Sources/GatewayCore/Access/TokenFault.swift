// SPDX-License-Identifier: Apache-2.0

/// The reason why a token is rejected. The texts are for logs and never contain anything of the token.
package enum TokenFault: String, Error, Sendable, CaseIterable {
    // Form
    case tooLong = "the token is longer than 8192 bytes"
    case malformed = "the token isn't three parts separated by dots"
    case invalidEncoding = "a part of the token isn't base64url without padding"
    case invalidJSON = "a part of the token isn't a strict JSON object"
    case duplicateMember = "a part of the token has duplicate members"

    // Header
    case missingAlgorithm = "the header has no valid alg"
    case unknownAlgorithm = "the header's alg is none or unknown"
    case unknownType = "the header's typ isn't JWT or at+jwt"
    case invalidKeyID = "the header's kid isn't a string of 1 to 256 bytes"
    case forbiddenMember = "the header has crit, jku, jwk, x5u, x5c, b64, zip, enc or cty"

    // Signature
    case unknownKey = "no key has the token's kid and alg"
    case invalidSignature = "the signature is invalid"

    // Registered claims
    case missingExpiry = "exp is missing"
    case invalidTime = "exp, nbf or iat isn't a number from 0 to 253402300799"
    case expired = "the token has expired"
    case notYetValid = "nbf is in the future"
    case issuedInFuture = "iat is in the future"
    case lifetimeTooLong = "exp is further away than auth.max_lifetime"
    case wrongIssuer = "iss differs from auth.issuer"
    case wrongAudience = "aud doesn't contain auth.audience"
    case missingUser = "the claim that auth.user_claim names is missing"
    case invalidUser = "the claim that auth.user_claim names isn't 1 to 128 characters of printable ASCII"
    case invalidTokenID = "jti isn't a string of 1 to 128 bytes"

    // The claim `parley`
    case parleyNotObject = "parley isn't an object"
    case unknownLimit = "parley.limits has an unknown limit"
    case invalidLimit = "a value of parley.limits has the wrong type or is out of range"
    case unknownQuota = "parley.quotas has an unknown quota"
    case invalidQuota = "a value of parley.quotas has the wrong type or is out of range"
    case invalidPaths = "parley.paths isn't an array of at most 100 strings"
    case invalidRoutes = "parley.routes isn't an array of at most 100 strings"
    case invalidTypes = "parley.types isn't an array of text and audio"
    case invalidMeta = "parley.meta isn't an object of at most 16 short strings"
    case invalidSession = "parley.session isn't an object with a duration as ttl"
    case invalidRealtime = "parley.realtime isn't an object"
    case invalidUses = "parley.uses isn't 0 to 100, or the token has uses but no jti"

    // State of the gateway
    case revoked = "the user's tokens were revoked"
    case used = "the token has been used as often as it allows"

    /// Whether a fresh token would be accepted in place of this one: the client receives `token_expired`.
    package var isExpired: Bool { self == .expired }

    /// The reason that the client receives.
    package var error: ErrorReason {
        switch self {
        case .expired: .tokenExpired
        case .revoked: .tokenRevoked
        case .used: .tokenUsed
        default: .tokenRejected
        }
    }
}

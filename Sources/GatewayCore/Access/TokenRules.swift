// SPDX-License-Identifier: Apache-2.0

/// The rules that the claims of a token have to satisfy: the keys of `auth` that concern them.
package struct TokenRules: Sendable, Equatable {
    /// The required `iss`; empty: not checked.
    package var issuer: String
    /// A required element of `aud`; empty: not checked.
    package var audience: String
    /// The tolerance for `exp`, `nbf` and `iat` in milliseconds.
    package var leeway: Int64
    /// The maximum distance of `exp` from `iat`, or from now without `iat`, in milliseconds; 0: any distance.
    package var maximumLifetime: Int64
    /// The claim that names the user.
    package var userClaim: String

    package init(
        issuer: String = "", audience: String = "", leeway: Int64 = 30_000, maximumLifetime: Int64 = 86_400_000, userClaim: String = "sub"
    ) {
        self.issuer = issuer
        self.audience = audience
        self.leeway = leeway
        self.maximumLifetime = maximumLifetime
        self.userClaim = userClaim
    }

    /// Returns the rights that the claims grant at `now` (Unix milliseconds). All other claims are checked before the times, so that
    /// `expired` is reported only for tokens that were valid once.
    package func grant(for claims: TokenClaims, now: Int64) throws(TokenFault) -> Grant {
        let document = claims.document
        guard issuer.isEmpty || claims.value("iss").flatMap({ document.string($0) })?.utf8.elementsEqual(issuer.utf8) == true else {
            throw .wrongIssuer
        }
        guard audience.isEmpty || names(audience, claims) else { throw .wrongAudience }
        guard let name = claims.value(userClaim) else { throw .missingUser }
        guard let user = document.string(name), Self.isValid(user: user) else { throw .invalidUser }
        guard let expiry = try claims.time("exp") else { throw .missingExpiry }
        var grant = Grant(user: user, expiresAt: expiry, issuedAt: try claims.time("iat"))
        if let value = claims.value("jti") {
            guard let tokenID = document.string(value), (1...128).contains(tokenID.utf8.count) else { throw .invalidTokenID }
            grant.tokenID = tokenID
        }
        if let value = claims.value("parley") { grant.parley = try ParleyClaims(value, in: document) }
        grant.uses = grant.parley.uses
        guard grant.uses == 0 || grant.tokenID != nil else { throw .invalidUses }
        try check(grant, notBefore: claims.time("nbf"), now: now)
        return grant
    }

    /// Returns whether a user name is 1 to 128 characters of printable ASCII, spaces included.
    package static func isValid(user: String) -> Bool {
        (1...128).contains(user.utf8.count) && user.utf8.allSatisfy { (0x20...0x7E).contains($0) }
    }

    /// Returns whether `aud` is the audience or an array of strings that has it (RFC 7519 §4.1.3).
    private func names(_ audience: String, _ claims: TokenClaims) -> Bool {
        guard let value = claims.value("aud") else { return false }
        if let name = claims.document.string(value) { return name.utf8.elementsEqual(audience.utf8) }
        guard let elements = claims.document.elements(of: value) else { return false }
        let names = elements.compactMap { claims.document.string($0) }
        return names.count == elements.count && names.contains { $0.utf8.elementsEqual(audience.utf8) }
    }

    private func check(_ grant: Grant, notBefore: Int64?, now: Int64) throws(TokenFault) {
        // Times of claims have at most 48 bits; the configuration bounds the leeway and the lifetime.
        let (past, future) = (now &- leeway, now &+ leeway)
        if let notBefore, notBefore > future { throw .notYetValid }
        if let issuedAt = grant.issuedAt, issuedAt > future { throw .issuedInFuture }
        if maximumLifetime > 0, grant.expiresAt &- (grant.issuedAt ?? now) > maximumLifetime { throw .lifetimeTooLong }
        if grant.expiresAt <= past { throw .expired }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The rights of a client as a valid token grants them.
package struct Grant: Sendable, Equatable {
    /// 1 to 128 characters of printable ASCII, from the claim that `auth.user_claim` names.
    package var user: String
    /// The claim `exp` in Unix milliseconds; the leeway isn't included.
    package var expiresAt: Int64
    /// The claim `iat` in Unix milliseconds; nil without the claim.
    package var issuedAt: Int64?
    /// The claim `jti` of 1 to 128 bytes; nil without the claim.
    package var tokenID: String?
    /// How often the token may open a new session, 1 to 100; 0 for any number. A token with a positive number has a ``tokenID``.
    package var uses: Int
    /// The claim `parley`; without the claim nothing is restricted.
    package var parley: ParleyClaims

    package init(
        user: String, expiresAt: Int64, issuedAt: Int64? = nil, tokenID: String? = nil, uses: Int = 0,
        parley: ParleyClaims = ParleyClaims()
    ) {
        self.user = user
        self.expiresAt = expiresAt
        self.issuedAt = issuedAt
        self.tokenID = tokenID
        self.uses = uses
        self.parley = parley
    }
}

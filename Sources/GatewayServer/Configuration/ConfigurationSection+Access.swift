// SPDX-License-Identifier: Apache-2.0

extension ConfigurationSection {
    /// `auth.*`: authentication of clients.
    package struct Authentication: Sendable, Equatable {
        /// `none` is rejected in production.
        package var mode = AuthenticationMode.jwt
        /// Secrets of HMAC signatures; the first one also signs minted tokens.
        package var secrets: [String] = []
        /// Public keys that verify signatures.
        package var publicKeys: [KeyFile] = []
        /// File of a JWK set.
        package var jwksFile: String?
        /// URL of a JWK set, `https`.
        package var jwksURL: UpstreamURL?
        /// Interval at which the set is fetched.
        package var jwksRefresh = Duration.seconds(3600)
        /// Minimum interval between two fetches.
        package var jwksMinimumInterval = Duration.seconds(30)
        /// PEM file of CAs that are trusted for `jwksURL`, in addition to the system's.
        package var jwksCA: String?
        /// The required `iss`; empty: any.
        package var issuer = ""
        /// The required element of `aud`; empty: any.
        package var audience = ""
        /// Tolerated clock difference for `exp`, `nbf` and `iat`.
        package var leeway = Duration.seconds(30)
        /// Maximum time from `iat` (or now) to `exp`; 0: no limit.
        package var maxLifetime = Duration.seconds(24 * 3600)
        /// The claim that names the user.
        package var userClaim = "sub"
        /// Maximum rejected tokens per minute and address; 0: no limit.
        package var failuresPerMinute = 30
        /// How many times the configured limit a token's claim may raise it.
        package var claimsFactor = 10
        /// Private key that signs minted tokens if there is no secret.
        package var mintingKey: KeyFile?

        /// Whether any key to verify tokens is configured.
        package var hasKeySource: Bool {
            !secrets.isEmpty || !publicKeys.isEmpty || jwksFile != nil || jwksURL != nil || mintingKey != nil
        }
    }
}

/// `auth.mode`.
package enum AuthenticationMode: String, Sendable, CaseIterable {
    case none, jwt, mtls
}

// SPDX-License-Identifier: Apache-2.0

extension ConfigurationSection {
    /// `auth.*`: authentication of clients.
    package struct Authentication: Sendable, Equatable {
        /// `none` is rejected in production.
        package var mode = AuthenticationMode.jwt
        /// Secrets of HMAC signatures; the first one also signs minted tokens.
        package var secrets: [String] = []
        /// Public keys that verify signatures.
        package var publicKeys: [TokenKeyFile] = []
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
        package var mintingKey: TokenKeyFile?

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

/// The file of a key with the algorithm that it is used for, and optionally its id: `ES256:key.pem`, `k1@ES256:key.pem`.
package struct TokenKeyFile: Sendable, Hashable, CustomStringConvertible {
    /// The algorithms of signatures with a private and a public key (RFC 7518 §3.1, RFC 8037 §3.1).
    package static let algorithms = ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"]

    /// The key id that a token must have; nil: any token of the algorithm.
    package let keyID: String?
    package let algorithm: String
    package let path: String

    /// Returns nil if the text isn't `[kid@]ALG:path`, with a key id of 1 to 256 visible ASCII characters.
    package init?(_ text: String) {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let head = text[..<colon]
        let path = String(text[text.index(after: colon)...])
        let at = head.lastIndex(of: "@")
        let algorithm = String(at.map { head[head.index(after: $0)...] } ?? head)
        guard Self.algorithms.contains(algorithm), ConfigurationKey.filePath(path) != nil else { return nil }
        if let at {
            let keyID = head[..<at]
            guard (1...256).contains(keyID.utf8.count), keyID.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
            self.keyID = String(keyID)
        } else {
            keyID = nil
        }
        self.algorithm = algorithm
        self.path = path
    }

    package var description: String { (keyID.map { "\($0)@" } ?? "") + "\(algorithm):\(path)" }
}

// SPDX-License-Identifier: Apache-2.0

import GatewayCore

extension ConfigurationKey {
    /// `auth.*`, `quotas.*`.
    static let access: [ConfigurationKey] = authentication + Quota.allCases.map(quota)

    private static let authentication: [ConfigurationKey] = [
        .choice(
            "auth.mode", \.auth.mode,
            "How clients authenticate: with a JSON Web Token, with a client certificate, or not at all. none is rejected in production."),
        .list(
            "auth.secret", \.auth.secrets, of: "secrets of 32 to 4096 bytes", isSecret: true, reload: .live,
            "Verifies tokens with HS256, HS384 and HS512; the first one signs minted tokens. A list for rotation, or one secret. "
                + "Prefer PARLEY_AUTH_SECRET_FILE=/path to this key.",
            read: { (32...4096).contains($0.utf8.count) ? $0 : nil }, write: { $0 }),
        .list(
            "auth.public_keys", \.auth.publicKeys,
            of: "ALG:path.pem or kid@ALG:path.pem, where ALG is \(alternatives(KeyFile.algorithms.map(\.rawValue)))", reload: .live,
            "Public keys that verify tokens. With kid@ a key verifies only tokens with this key id.",
            read: { KeyFile($0) }, write: { $0.description }),
        optionalPath("auth.jwks_file", \.auth.jwksFile, "File of a JWK set (RFC 7517) with public keys that verify tokens."),
        ConfigurationKey(
            "auth.jwks_url", \.auth.jwksURL, reload: .live, allowed: "an https URL",
            meaning: "URL of a JWK set, for example of an OpenID provider. Redirects aren't followed.",
            read: { only($0).flatMap { UpstreamURL($0) }.flatMap { $0.scheme == "https" ? Optional.some($0) : nil } },
            write: { $0?.description }),
        .duration("auth.jwks_refresh", \.auth.jwksRefresh, reload: .live, "Interval at which the JWK set is fetched again."),
        .duration(
            "auth.jwks_minimum_interval", \.auth.jwksMinimumInterval, reload: .live,
            "Minimum interval between two fetches, which tokens with an unknown key id trigger."),
        optionalPath("auth.jwks_ca", \.auth.jwksCA, "PEM file of CAs that are trusted for auth.jwks_url, besides the system's."),
        text("auth.issuer", \.auth.issuer, "Required issuer (iss) of tokens. Empty: any."),
        text("auth.audience", \.auth.audience, "Required audience (aud) of tokens. Empty: any."),
        .duration(
            "auth.leeway", \.auth.leeway, zero: "none", reload: .live, "Tolerated difference between clocks, for exp, nbf and iat."),
        .duration(
            "auth.max_lifetime", \.auth.maxLifetime, zero: "no limit", reload: .live,
            "Maximum time from a token's iat, or from now without one, to its exp."),
        ConfigurationKey(
            "auth.user_claim", \.auth.userClaim, reload: .live, allowed: "the name of a claim, 1 to 64 bytes",
            meaning: "Claim that names the user.",
            read: { only($0).flatMap { (1...64).contains($0.utf8.count) && !$0.utf8.contains(0) ? $0 : nil } }, write: { $0 }),
        .count(
            "auth.failures_per_minute", \.auth.failuresPerMinute, reload: .live,
            "Rejected tokens per minute and client address, with a burst of a quarter. Beyond it: 429, before a signature is verified."),
        .count(
            "auth.claims_factor", \.auth.claimsFactor, in: 1...1000, zero: nil, reload: .live,
            "How many times its configured value a token may raise a limit to."),
        ConfigurationKey(
            "auth.minting_key", \.auth.mintingKey, reload: .live, allowed: "ALG:private.pem or kid@ALG:private.pem",
            meaning: "Private key that signs minted tokens if auth.secret is unset. Without either, a key generated at start does.",
            read: { only($0).flatMap { KeyFile($0) }.map(Optional.some) }, write: { $0?.description }),
    ]

    /// Creates the key of a quota.
    private static func quota(_ quota: Quota) -> ConfigurationKey {
        let period = quota.period == .day ? "day" : "month"
        let resource =
            switch quota.resource {
            case .messages: "Requests"
            case .audioSecondsIn: "Seconds of audio that the user sends"
            case .audioSecondsOut: "Seconds of audio that the user receives"
            case .inputTokens: "Input tokens of upstreams"
            case .outputTokens: "Output tokens of upstreams"
            case .cost: "Cost of upstreams, in the unit of upstreams.<name>.price,"
            }
        return .factor(
            "quotas.\(quota.name)", \.quotas[quota], reload: .live, "\(resource) per user and UTC \(period). A token's claim replaces it.")
    }

    /// Creates the key of a file's path that a reload changes, unset by default.
    private static func optionalPath(_ name: String, _ path: ValuePath<String?>, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: .live, allowed: pathAllowed, meaning: meaning,
            read: { only($0).flatMap(filePath).map(Optional.some) }, write: { $0 })
    }

    private static func text(_ name: String, _ path: ValuePath<String>, _ meaning: String) -> ConfigurationKey {
        ConfigurationKey(
            name, path, reload: .live, allowed: "a text of up to 1024 bytes", meaning: meaning,
            read: { only($0).flatMap { $0.utf8.count <= 1024 && !$0.utf8.contains(0) ? $0 : nil } }, write: { $0 })
    }
}

// SPDX-License-Identifier: Apache-2.0

@testable import GatewayCore

/// The parsers of tokens, of their claims, and of requests for tokens.
///
/// Invariants: A token has one encoding: its signed bytes and its encoded signature are the input. The user and the values of the claims are
/// within their bounds. A token that is minted from an accepted request is granted.
final class TokenTarget: FuzzTarget {
    private static let now: Int64 = 1_800_000_000_000

    func run(_ input: FuzzInput) {
        var input = input
        switch input.byte() % 3 {
        case 0: Self.readToken(input.bytes)
        case 1: Self.readClaims(input.bytes)
        default: Self.readRequest(input.bytes)
        }
    }

    private static func readToken(_ bytes: [UInt8]) {
        guard let token = try? CompactToken(bytes) else { return }
        require(bytes.count <= CompactToken.maximumBytes, "a token is at most 8192 bytes")
        let encoded = Array(token.signedBytes) + [UInt8(ascii: ".")] + Base64URL.encode(token.signature)
        require(encoded == bytes, "a token has one encoding")
        guard let claims = try? token.claims() else { return }
        check(claims)
    }

    private static func readClaims(_ bytes: [UInt8]) {
        guard let claims = try? TokenClaims(json: bytes) else { return }
        check(claims)
    }

    private static func check(_ claims: TokenClaims) {
        for rules in [TokenRules(maximumLifetime: 0), TokenRules(issuer: "i", audience: "a", leeway: 0)] {
            guard let grant = try? rules.grant(for: claims, now: now) else { continue }
            require(TokenRules.isValid(user: grant.user), "the user is printable ASCII")
            require(grant.expiresAt > now - rules.leeway, "a grant hasn't expired")
            require((0...100).contains(grant.uses), "\(grant.uses) uses")
            let parley = grant.parley
            require(parley.limits.allSatisfy { $0.value >= 0 && $0.value <= 1e12 }, "limits are within their bounds")
            require(
                parley.meta.count <= 16 && parley.meta.allSatisfy { $0.key.utf8.count <= 64 && $0.value.utf8.count <= 1000 },
                "meta is small")
            _ = SessionPolicy().applying(parley, factor: 10)
        }
    }

    private static func readRequest(_ bytes: [UInt8]) {
        _ = try? RevocationRequest(json: bytes)
        guard let request = try? TokenRequest(json: bytes) else { return }
        let rules = TokenRules(issuer: "i", audience: "a")
        guard let minted = try? request.claims(tokenID: "t", rules: rules, now: now) else { return }
        let grant = must { try rules.grant(for: TokenClaims(json: minted.json), now: now) }
        require(
            grant.user == request.user && grant.uses == request.uses && grant.expiresAt == minted.expiresAt, "the grant is the request")
    }
}

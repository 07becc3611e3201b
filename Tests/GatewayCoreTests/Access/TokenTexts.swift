// SPDX-License-Identifier: Apache-2.0

@testable import GatewayCore

/// Tokens and claims for tests.
enum TokenTexts {
    /// Unix milliseconds.
    static let now: Int64 = 1_800_000_000_000

    static func encoded(_ text: String) -> String { String(decoding: Base64URL.encode(Array(text.utf8)), as: UTF8.self) }

    /// Returns a token with a signature of three bytes.
    static func token(header: String, claims: String = "{}") -> String { "\(encoded(header)).\(encoded(claims)).AAAA" }

    static func fault(_ token: String) -> TokenFault? {
        do throws(TokenFault) {
            _ = try CompactToken(token)
            return nil
        } catch {
            return error
        }
    }

    /// Returns the rights of claims that name a user and expire in a minute, unless `members` replace them.
    static func grant(_ members: String, rules: TokenRules = TokenRules()) throws(TokenFault) -> Grant {
        try rules.grant(for: TokenClaims(json: Array("{\(members)}".utf8)), now: now)
    }

    static func fault(claims members: String, rules: TokenRules = TokenRules()) -> TokenFault? {
        do throws(TokenFault) {
            _ = try grant(members, rules: rules)
            return nil
        } catch {
            return error
        }
    }

    /// Members of a valid token that was issued now and expires in a minute.
    static let valid = #""sub":"u1","iat":1800000000,"exp":1800000060"#

    static func parley(_ members: String) throws(TokenFault) -> ParleyClaims {
        try grant(#"\#(valid),"jti":"t1","parley":{\#(members)}"#).parley
    }

    static func fault(parley members: String) -> TokenFault? { fault(claims: #"\#(valid),"jti":"t1","parley":{\#(members)}"#) }
}

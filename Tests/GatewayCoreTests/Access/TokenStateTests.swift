// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct RevocationsTests {
    private let rules = TokenRules(leeway: 30_000, maximumLifetime: 3_600_000)

    @Test func `tokens issued at or before the time are revoked, and those without iat`() throws {
        var revocations = Revocations()
        try revocations.revoke("u1", before: 1000, rules: rules, now: 2000)
        #expect(revocations.isRevoked(user: "u1", issuedAt: 999))
        #expect(revocations.isRevoked(user: "u1", issuedAt: 1000))
        #expect(!revocations.isRevoked(user: "u1", issuedAt: 1001))
        #expect(revocations.isRevoked(user: "u1", issuedAt: nil))
        #expect(!revocations.isRevoked(user: "u2", issuedAt: 1) && !revocations.isRevoked(user: "u2", issuedAt: nil))
    }

    @Test func `an earlier time doesn't replace a later one`() throws {
        var revocations = Revocations()
        try revocations.revoke("u1", before: 1000, rules: rules, now: 2000)
        let entry = try revocations.revoke("u1", before: 500, rules: rules, now: 3000)
        #expect(entry.before == 1000)
        #expect(revocations.isRevoked(user: "u1", issuedAt: 1000))
    }

    @Test func `an entry is kept until the last revoked token has expired`() throws {
        var revocations = Revocations()
        let entry = try revocations.revoke("u1", before: 5000, rules: rules, now: 2000)
        #expect(entry.until == 5000 + 3_600_000 + 30_000)
        revocations.removeExpired(now: entry.until - 1)
        #expect(revocations.count == 1)
        revocations.removeExpired(now: entry.until)
        #expect(revocations.count == 0)
    }

    @Test func `without a maximum lifetime an entry is kept for ever`() throws {
        var revocations = Revocations()
        try revocations.revoke("u1", before: 1, rules: TokenRules(maximumLifetime: 0), now: 1)
        revocations.removeExpired(now: .max - 1)
        #expect(revocations.isRevoked(user: "u1", issuedAt: 1))
    }

    @Test func `at the bound a new user is rejected until an entry has ended, and a known one isn't`() throws {
        var revocations = Revocations(maximumCount: 2)
        try revocations.revoke("u1", before: 1, rules: rules, now: 1)
        try revocations.revoke("u2", before: 1, rules: rules, now: 1)
        #expect(throws: Revocations.Full.self) { try revocations.revoke("u3", before: 1, rules: rules, now: 2) }
        #expect(!revocations.isRevoked(user: "u3", issuedAt: 1))
        try revocations.revoke("u2", before: 9, rules: rules, now: 9)
        try revocations.revoke("u3", before: 1, rules: rules, now: 3_640_000)
        #expect(revocations.isRevoked(user: "u3", issuedAt: 1))
    }
}

@Suite struct TokenUsesTests {
    @Test func `a token opens as many sessions as it has uses`() {
        var uses = TokenUses()
        #expect(uses.spend("t", of: 2, until: 1000, now: 0) == TokenUses.Entry(tokenID: "t", spent: 1, until: 1000))
        #expect(uses.spend("t", of: 2, until: 1000, now: 0)?.spent == 2)
        #expect(uses.spend("t", of: 2, until: 1000, now: 0) == nil)
        #expect(uses.spend("other", of: 1, until: 1000, now: 0)?.spent == 1)
    }

    @Test func `a use that is refunded can be spent again`() {
        var uses = TokenUses()
        _ = uses.spend("t", of: 1, until: 1000, now: 0)
        #expect(uses.refund("t")?.spent == 0)
        #expect(uses.refund("t") == nil)
        #expect(uses.refund("unknown") == nil)
        #expect(uses.spend("t", of: 1, until: 1000, now: 0)?.spent == 1)
        #expect(uses.spend("t", of: 1, until: 1000, now: 0) == nil)
    }

    @Test func `a restored entry counts`() {
        var uses = TokenUses()
        uses.insert(TokenUses.Entry(tokenID: "t", spent: 1, until: 1000), now: 0)
        #expect(uses.spend("t", of: 1, until: 1000, now: 0) == nil)
    }

    @Test func `at the bound unknown tokens are rejected until an entry has expired`() {
        var uses = TokenUses(maximumCount: 1)
        _ = uses.spend("a", of: 5, until: 1000, now: 0)
        #expect(uses.spend("b", of: 5, until: 2000, now: 999) == nil)
        #expect(uses.spend("a", of: 5, until: 1000, now: 999)?.spent == 2)
        #expect(uses.spend("b", of: 5, until: 2000, now: 1000)?.spent == 1)
        #expect(uses.count == 1)
    }
}

@Suite struct TokenRequestTests {
    private func detail(_ json: String) -> String? {
        do throws(TokenRequest.Fault) {
            _ = try TokenRequest(json: Array(json.utf8))
            return nil
        } catch {
            return error.detail
        }
    }

    @Test func `a request has a user, a lifetime, uses and claims`() throws {
        let request = try TokenRequest(json: Array(#"{"user":"u1","expires_in":"60s","uses":1,"parley":{ "paths" : ["/v1/ws"] }}"#.utf8))
        #expect(request.user == "u1" && request.lifetime == 60_000 && request.uses == 1)
        let rules = TokenRules(issuer: "i", audience: "a\"b", userClaim: "name")
        let claims = try request.claims(tokenID: "t1", rules: rules, now: 1_800_000_000_999)
        #expect(
            String(decoding: claims.json, as: UTF8.self)
                == #"{"name":"u1","iat":1800000000,"exp":1800000060,"jti":"t1","iss":"i","aud":"a\"b","parley":{"paths" : ["/v1/ws"],"uses":1}}"#
        )
        #expect(claims.expiresAt == 1_800_000_060_000)
    }

    @Test func `only the user is required`() throws {
        let request = try TokenRequest(json: Array(#"{"user":"u1"}"#.utf8))
        #expect(request.lifetime == 300_000 && request.uses == 0)
        let claims = try request.claims(tokenID: "t1", rules: TokenRules(), now: 0)
        #expect(String(decoding: claims.json, as: UTF8.self) == #"{"sub":"u1","iat":0,"exp":300,"jti":"t1"}"#)
        let used = try TokenRequest(json: Array(#"{"user":"u1","uses":2,"parley":{}}"#.utf8)).claims(
            tokenID: "t", rules: TokenRules(), now: 0)
        #expect(String(decoding: used.json, as: UTF8.self).hasSuffix(#","parley":{"uses":2}}"#))
    }

    @Test func `a lifetime is 1s to 24h and at most the maximum lifetime`() throws {
        for (text, isValid) in [("1s", true), ("999ms", false), ("24h", true), ("86401s", false), ("0", false), ("5", false)] {
            #expect((detail("{\"user\":\"u\",\"expires_in\":\"\(text)\"}") == nil) == isValid)
        }
        #expect(detail(#"{"user":"u","expires_in":60}"#) != nil)
        let request = try TokenRequest(json: Array(#"{"user":"u","expires_in":"1h"}"#.utf8))
        #expect(throws: TokenRequest.Fault.self) { try request.claims(tokenID: "t", rules: TokenRules(maximumLifetime: 3_599_999), now: 0) }
        _ = try request.claims(tokenID: "t", rules: TokenRules(maximumLifetime: 3_600_000), now: 999)
        _ = try request.claims(tokenID: "t", rules: TokenRules(maximumLifetime: 0), now: 0)
    }

    @Test(arguments: [
        "", "[]", "{", "{}", #"{"user":1}"#, #"{"user":""}"#, #"{"user":"é"}"#, #"{"user":"u","user":"v"}"#, #"{"user":"u","uses":101}"#,
        #"{"user":"u","uses":"1"}"#, #"{"user":"u","parley":1}"#, #"{"user":"u","parley":{"limits":{"text":1}}}"#,
        #"{"user":"u","parley":{"uses":1}}"#,
        #"{"user":"u","exp":1}"#,
    ])
    func `any other body is rejected`(json: String) {
        #expect(detail(json) != nil)
    }

    @Test func `a revocation has a time or an empty body`() throws {
        #expect(try RevocationRequest(json: []).before == nil)
        #expect(try RevocationRequest(json: Array("{}".utf8)).before == nil)
        #expect(try RevocationRequest(json: Array(#"{"before":1800000000000}"#.utf8)).before == 1_800_000_000_000)
        for json in [
            "[]", #"{"before":"1"}"#, #"{"before":-1}"#, #"{"before":1.5}"#, #"{"before":1e300}"#, #"{"after":1}"#, #"{"before":null}"#,
        ] {
            #expect(throws: TokenRequest.Fault.self) { try RevocationRequest(json: Array(json.utf8)) }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite struct TokenRulesTests {
    @Test func `valid claims grant the user's rights until exp`() throws {
        let grant = try TokenTexts.grant(#"\#(TokenTexts.valid),"jti":"t1","other":{"a":[1]},"nbf":1800000000"#)
        #expect(grant == Grant(user: "u1", expiresAt: 1_800_000_060_000, issuedAt: 1_800_000_000_000, tokenID: "t1"))
    }

    @Test func `exp is always required`() {
        #expect(TokenTexts.fault(claims: #""sub":"u1""#) == .missingExpiry)
        #expect(TokenTexts.fault(claims: #""sub":"u1","exp":1800000060"#) == nil)
    }

    @Test(arguments: ["exp", "nbf", "iat"])
    func `times are numbers from 1970 to 9999`(name: String) {
        func fault(_ value: String) -> TokenFault? {
            let others = name == "exp" ? #""sub":"u1""# : #""sub":"u1","exp":1800000060"#
            return TokenTexts.fault(claims: "\(others),\"\(name)\":\(value)", rules: TokenRules(maximumLifetime: 0))
        }
        for value in [
            #""1800000060""#, "null", "true", "[1800000060]", "{}", "-1", "-0.001", "1e400", "1e300", "253402300800", "9223372036854775808",
            "1" + String(repeating: "0", count: 70), "0." + String(repeating: "0", count: 70) + "1",
        ] { #expect(fault(value) == .invalidTime, "\(value)") }
        #expect(fault(name == "exp" ? "1800000000.001" : "1799999999.999") == nil)
        #expect(fault("1.8e9") == nil)
        if name == "exp" { #expect(fault("253402300799") == nil) } else { #expect(fault("0") == nil) }
    }

    @Test func `a fraction of a second counts, rounded to a millisecond`() throws {
        #expect(try TokenTexts.grant(#""sub":"u1","exp":1800000000.0019"#).expiresAt == 1_800_000_000_002)
    }

    @Test func `a token expires at exp plus the leeway`() {
        let rules = TokenRules(leeway: 30_000)
        #expect(TokenTexts.fault(claims: #""sub":"u1","exp":1799999970.001"#, rules: rules) == nil)
        #expect(TokenTexts.fault(claims: #""sub":"u1","exp":1799999970"#, rules: rules) == .expired)
        #expect(TokenTexts.fault(claims: #""sub":"u1","exp":1800000000"#, rules: TokenRules(leeway: 0)) == .expired)
        #expect(TokenFault.expired.isExpired && TokenFault.expired.error == .tokenExpired)
    }

    @Test func `nbf and iat may be in the future by the leeway`() {
        for (name, fault) in [("nbf", .notYetValid), ("iat", .issuedInFuture)] as [(String, TokenFault)] {
            #expect(TokenTexts.fault(claims: #""sub":"u1","exp":1800000060,"\#(name)":1800000030"#) == nil)
            #expect(TokenTexts.fault(claims: #""sub":"u1","exp":1800000060,"\#(name)":1800000030.001"#) == fault)
        }
    }

    @Test func `the lifetime is limited from iat, or from now without it`() {
        let rules = TokenRules(maximumLifetime: 3_600_000)
        #expect(TokenTexts.fault(claims: #""sub":"u1","iat":1799999000,"exp":1800002600"#, rules: rules) == nil)
        #expect(TokenTexts.fault(claims: #""sub":"u1","iat":1799999000,"exp":1800002600.001"#, rules: rules) == .lifetimeTooLong)
        #expect(TokenTexts.fault(claims: #""sub":"u1","exp":1800003600"#, rules: rules) == nil)
        #expect(TokenTexts.fault(claims: #""sub":"u1","exp":1800003600.001"#, rules: rules) == .lifetimeTooLong)
        #expect(TokenTexts.fault(claims: #""sub":"u1","exp":9999999999"#, rules: TokenRules(maximumLifetime: 0)) == nil)
    }

    @Test func `iss equals the issuer, byte by byte`() {
        let rules = TokenRules(issuer: "https://id.example")
        for (value, fault) in [
            (#""https://id.example""#, nil), (#""https://id.example/""#, .wrongIssuer), (#""https://ID.example""#, .wrongIssuer),
            (#"["https://id.example"]"#, .wrongIssuer), ("null", .wrongIssuer),
        ] as [(String, TokenFault?)] { #expect(TokenTexts.fault(claims: "\(TokenTexts.valid),\"iss\":\(value)", rules: rules) == fault) }
        #expect(TokenTexts.fault(claims: TokenTexts.valid, rules: rules) == .wrongIssuer)
        #expect(TokenTexts.fault(claims: "\(TokenTexts.valid),\"iss\":1") == nil, "not checked without an issuer")
    }

    @Test func `aud is the audience or an array of strings that has it`() {
        let rules = TokenRules(audience: "parley")
        for (value, fault) in [
            (#""parley""#, nil), (#"["other","parley"]"#, nil), (#""parley2""#, .wrongAudience), ("[]", .wrongAudience),
            (#"["other"]"#, .wrongAudience), (#"["parley",1]"#, .wrongAudience), (#"{"parley":1}"#, .wrongAudience), ("1", .wrongAudience),
        ] as [(String, TokenFault?)] { #expect(TokenTexts.fault(claims: "\(TokenTexts.valid),\"aud\":\(value)", rules: rules) == fault) }
        #expect(TokenTexts.fault(claims: TokenTexts.valid, rules: rules) == .wrongAudience)
    }

    @Test func `the user is 1 to 128 characters of printable ASCII in the configured claim`() throws {
        func fault(_ value: String) -> TokenFault? { TokenTexts.fault(claims: #""exp":1800000060,"sub":\#(value)"#) }
        #expect(fault("\"\(String(repeating: "u", count: 128))\"") == nil)
        #expect(fault(#""a b~!\u0041""#) == nil)
        for value in [
            #""""#, "\"\(String(repeating: "u", count: 129))\"", #""é""#, #""a\u0000b""#, #""a\nb""#, #""\u007f""#, "1", "null", #"["u1"]"#,
        ] { #expect(fault(value) == .invalidUser, "\(value)") }
        #expect(TokenTexts.fault(claims: #""exp":1800000060"#) == .missingUser)
        let rules = TokenRules(userClaim: "email")
        #expect(TokenTexts.fault(claims: TokenTexts.valid, rules: rules) == .missingUser)
        #expect(try TokenTexts.grant(#"\#(TokenTexts.valid),"email":"a@b.example""#, rules: rules).user == "a@b.example")
    }

    @Test func `jti is a string of 1 to 128 bytes`() {
        func fault(_ value: String) -> TokenFault? { TokenTexts.fault(claims: #"\#(TokenTexts.valid),"jti":\#(value)"#) }
        #expect(fault("\"\(String(repeating: "t", count: 128))\"") == nil)
        for value in [#""""#, "\"\(String(repeating: "t", count: 129))\"", "1", "null"] { #expect(fault(value) == .invalidTokenID) }
    }

    @Test func `an expired token with another fault is reported with that fault`() {
        #expect(TokenTexts.fault(claims: #""sub":"u1","exp":1,"parley":1"#) == .parleyNotObject)
        #expect(TokenTexts.fault(claims: #""sub":"u1","exp":1"#, rules: TokenRules(issuer: "i")) == .wrongIssuer)
    }

    @Test func `only expired tokens are reported to clients as expired`() {
        for fault in TokenFault.allCases {
            #expect((fault.error.code == .tokenExpired) == (fault == .expired))
            #expect(fault.error.code == .tokenExpired || fault.error.code == .unauthorized)
        }
    }
}

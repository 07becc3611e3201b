// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite struct CompactTokenTests {
    @Test func `a token is split into its header, the signed bytes and the signature`() throws {
        let text = TokenTexts.token(header: #"{"alg":"ES256","kid":"k1","typ":"JWT","x5t":"ignored"}"#, claims: #"{"a":1}"#)
        let token = try CompactToken(text)
        #expect(token.algorithm == .es256)
        #expect(token.keyID == "k1")
        #expect(token.signature == [0, 0, 0])
        #expect(String(decoding: token.signedBytes, as: UTF8.self) == text.dropLast(5))
        #expect(try token.claims().document.member("a") != nil)
    }

    @Test(arguments: [
        "", ".", "..", "...", "a.b", "a.b.c.d", ".e30.AAAA", "e30..AAAA", "e30.e30.", "e30.e30.AAAA.", ".e30.e30.AAAA",
        "e30.e30.AAAA.x.y.z",
    ])
    func `a token that isn't three non-empty parts is malformed`(text: String) {
        #expect(TokenTexts.fault(text) == .malformed)
    }

    @Test(arguments: [
        "e30=.e30.AAAA", "e30.e30.AAAA=", " e30.e30.AAAA", "e30.e30.AAAA ", "e3 0.e30.AAAA", "e30\n.e30.AAAA", "e31.e30.AAAA",
        "e30.e30.AAA+",
        "e30.e30.AAA/", "e30.e30.A", "e.e30.AAAA", "é30.e30.AAAA", "e30.e30.AAB", "e30.e30.AB",
    ])
    func `padding, white space, foreign characters and non-zero unused bits are rejected`(text: String) {
        #expect(TokenTexts.fault(text) == .invalidEncoding)
    }

    @Test func `8192 bytes are accepted; 8193 are too long`() {
        let head = TokenTexts.encoded(#"{"alg":"HS256"}"#) + ".e30."
        let longest = head + String(repeating: "A", count: 8192 - head.utf8.count)
        #expect(longest.utf8.count == 8192)
        #expect(TokenTexts.fault(longest) == nil)
        #expect(TokenTexts.fault(longest + "A") == .tooLong)
        #expect(TokenTexts.fault(String(repeating: ".", count: 1_000_000)) == .tooLong)
    }

    @Test(arguments: [
        "none", "None", "NONE", "nOnE", "", " none", "none ", "HS256 ", "hs256", "HS1", "ES256K", "RS1", "Ed25519", "dir", "A128KW",
        "PBES2-HS256+A128KW",
    ])
    func `none in any spelling and unknown algorithms are rejected`(name: String) {
        #expect(TokenTexts.fault(TokenTexts.token(header: "{\"alg\":\"\(name)\"}")) == .unknownAlgorithm)
    }

    @Test(arguments: ["{}", #"{"alg":null}"#, #"{"alg":["HS256"]}"#, #"{"alg":256}"#, #"{"ALG":"HS256"}"#, #"{"alg":{"alg":"HS256"}}"#])
    func `a header without a string as alg is rejected`(header: String) {
        #expect(TokenTexts.fault(TokenTexts.token(header: header)) == .missingAlgorithm)
    }

    @Test(arguments: ["crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc", "cty"])
    func `header members that change the processing are rejected, whatever their value`(name: String) {
        for value in ["null", "[]", "true", "\"JWT\"", #"["exp"]"#] {
            #expect(TokenTexts.fault(TokenTexts.token(header: #"{"alg":"HS256","\#(name)":\#(value)}"#)) == .forbiddenMember)
        }
        // The same name with an escape.
        let escaped = "\\u00" + String(name.utf8.first.map { String($0, radix: 16) } ?? "") + name.dropFirst()
        #expect(TokenTexts.fault(TokenTexts.token(header: #"{"alg":"HS256","\#(escaped)":1}"#)) == .forbiddenMember)
    }

    @Test(arguments: ["JWT", "jwt", "at+jwt", "AT+JWT", "application/jwt", "application/at+jwt", "Application/JWT"])
    func `typ may name a JWT or an access token in any case`(type: String) {
        #expect(TokenTexts.fault(TokenTexts.token(header: #"{"alg":"HS256","typ":"\#(type)"}"#)) == nil)
    }

    @Test(arguments: [
        #""JWE""#, #""dpop+jwt""#, #""logout+jwt""#, #""JOSE""#, #""""#, "1", "null", #"["JWT"]"#, #""application/application/jwt""#,
    ])
    func `another typ is rejected`(type: String) {
        #expect(TokenTexts.fault(TokenTexts.token(header: #"{"alg":"HS256","typ":\#(type)}"#)) == .unknownType)
    }

    @Test func `kid is a string of 1 to 256 bytes`() {
        func fault(_ kid: String) -> TokenFault? { TokenTexts.fault(TokenTexts.token(header: #"{"alg":"HS256","kid":\#(kid)}"#)) }
        #expect(fault("\"\(String(repeating: "k", count: 256))\"") == nil)
        #expect(fault("\"../../etc/passwd\"") == nil, "compared with names of keys only")
        #expect(fault(#""a\u0000b""#) == nil)
        for kid in [#""""#, "\"\(String(repeating: "k", count: 257))\"", "1", "null", "[\"k\"]", "{}"] {
            #expect(fault(kid) == .invalidKeyID)
        }
    }

    @Test(arguments: [
        #"{"alg":"HS256","alg":"none"}"#, #"{"alg":"HS256","\u0061lg":"HS256"}"#, #"{"alg":"HS256","kid":"a","kid":"b"}"#,
        #"{"alg":"HS256","x":{"a":1,"a":1}}"#, #"{"alg":"HS256","x":[[{"a":1,"b":2,"a":1}]]}"#,
    ])
    func `duplicate members of the header are rejected at every level`(header: String) {
        #expect(TokenTexts.fault(TokenTexts.token(header: header)) == .duplicateMember)
    }

    @Test(arguments: [
        "", "null", "[]", "\"alg\"", "{\"alg\":\"HS256\"}x", "{\"alg\":\"HS256\"", "{'alg':'HS256'}", "{\"alg\":\"HS256\",}",
        "\u{FEFF}{\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"a\":\"\u{1}\"}", #"{"alg":"HS256","a":"\ud800"}"#, #"{"alg":"HS256","a":NaN}"#, #"{"alg":"HS256","a":01}"#,
    ])
    func `a header that isn't strict JSON is rejected`(header: String) {
        #expect([.invalidJSON, .malformed].contains(TokenTexts.fault(TokenTexts.token(header: header))))
    }

    @Test func `white space within the header is accepted`() {
        #expect(TokenTexts.fault(TokenTexts.token(header: "{\"typ\":\"JWT\",\r\n \"alg\" : \"HS256\"}\n")) == nil)
    }

    @Test func `sixteen levels are accepted; seventeen are rejected`() {
        func header(_ levels: Int) -> String {
            #"{"alg":"HS256","a":"# + String(repeating: "[", count: levels - 1) + String(repeating: "]", count: levels - 1) + "}"
        }
        #expect(TokenTexts.fault(TokenTexts.token(header: header(16))) == nil)
        #expect(TokenTexts.fault(TokenTexts.token(header: header(17))) == .invalidJSON)
        #expect(TokenTexts.fault(TokenTexts.token(header: header(2000))) == .invalidJSON)
    }

    @Test func `invalid UTF-8 is rejected in the header and in the claims`() throws {
        let bytes = Array(#"{"alg":"HS256","a":""#.utf8) + [0xC3, 0x28] + Array("\"}".utf8)
        let part = String(decoding: Base64URL.encode(bytes), as: UTF8.self)
        #expect(TokenTexts.fault("\(part).e30.AAAA") == .invalidJSON)
        let token = try CompactToken("\(TokenTexts.encoded(#"{"alg":"HS256"}"#)).\(part).AAAA")
        #expect(throws: TokenFault.invalidJSON) { try token.claims() }
    }

    @Test func `a token as payload isn't JSON: nested tokens are rejected`() throws {
        let inner = TokenTexts.token(header: #"{"alg":"HS256"}"#, claims: "{\(TokenTexts.valid)}")
        let outer = try CompactToken(TokenTexts.token(header: #"{"alg":"HS256"}"#, claims: inner))
        #expect(throws: TokenFault.invalidJSON) { try outer.claims() }
    }

    @Test func `duplicate claims are rejected at every level`() throws {
        for claims in [
            #"{"sub":"a","sub":"b"}"#, #"{"exp":1,"\u0065xp":2}"#, #"{"parley":{"limits":{"text_per_minute":1,"text_per_minute":2}}}"#,
        ] {
            let token = try CompactToken(TokenTexts.token(header: #"{"alg":"HS256"}"#, claims: claims))
            #expect(throws: TokenFault.duplicateMember) { try token.claims() }
        }
    }

    @Test func `truncating or extending a token never makes the parser trap`() {
        let text = Array(TokenTexts.token(header: #"{"alg":"ES256","kid":"k1"}"#, claims: "{\(TokenTexts.valid)}").utf8)
        var generator = SystemRandomNumberGenerator()
        for count in 0...text.count { _ = try? CompactToken(Array(text[..<count])).claims() }
        for _ in 0..<2000 {
            var changed = text
            changed[Int.random(in: 0..<changed.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            _ = try? CompactToken(changed).claims()
        }
    }
}

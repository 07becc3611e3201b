// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

struct JWKSetTests {
    /// The coordinates and the modulus of RFC 7517, appendix A.1, and the key of RFC 8037, appendix A.2.
    private static let x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
    private static let y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
    private static let edwards = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPJHURo"
    private static let elliptic = #""kty":"EC","crv":"P-256","x":"\#(x)","y":"\#(y)""#
    private static let rsa = #""kty":"RSA","n":"AQAB","e":"AQAB""#

    private func parse(_ text: String) throws(JWKSetFault) -> JWKSet { try JWKSet(Array(text.utf8)) }

    /// Parses a set of one key with these members.
    private func fault(_ members: String) throws -> JWKFault? {
        let set = try parse(#"{"keys":[{\#(members)}]}"#)
        #expect(set.keys.count + set.skipped.count == 1)
        return set.skipped.first?.fault
    }

    private func key(_ members: String) throws -> JWKSet.Key {
        let set = try parse(#"{"keys":[{\#(members)}]}"#)
        #expect(set.skipped == [])
        return try #require(set.keys.first)
    }

    @Test func `keys of every kind are parsed, in order, with their kid and alg`() throws {
        let set = try parse(
            #" {"issuer":"x", "keys" : [ {\#(Self.elliptic),"kid":"1","use":"sig"}, {"alg":"PS384",\#(Self.rsa),"key_ops":["verify"],"#
                + #""x5c":["MIIB"],"ext":true}, {"kty":"OKP","crv":"Ed25519","x":"\#(Self.edwards)","alg":"EdDSA"} ] } "#)
        #expect(set.skipped == [])
        #expect(set.keys.map(\.id) == ["1", nil, nil])
        #expect(set.keys.map(\.algorithm) == [nil, .ps384, .edDSA])
        #expect(set.keys.map(\.number) == [1, 2, 3])
        guard case .elliptic(.p256, let x, let y) = set.keys[0].parameters else { throw JWKFault.unsupportedCurve }
        #expect(x.count == 32 && y.count == 32 && x.first == 0x30)
        #expect(set.keys[1].parameters == .rsa(modulus: [1, 0, 1], exponent: [1, 0, 1]))
        guard case .edwards(.ed25519, let point) = set.keys[2].parameters else { throw JWKFault.unsupportedCurve }
        #expect(point.count == 32)
    }

    @Test(arguments: [
        "", "[]", "null", #""keys""#, #"{"keys":[]} x"#, #"{"keys":[}"#, #"{"keys":[{]}"#, #"{"keys":[],}"#, "\u{FEFF}{\"keys\":[]}",
        #"{"keys":[\#(String(repeating: "[", count: 15))\#(String(repeating: "]", count: 15))]}"#,
    ])
    func `a text that isn't a strict JSON object is rejected`(_ text: String) {
        #expect(throws: JWKSetFault.invalidJSON) { try parse(text) }
    }

    @Test func `text that isn't UTF-8 is rejected`() {
        #expect(throws: JWKSetFault.invalidJSON) { try JWKSet(Array(#"{"keys":[],"x":""#.utf8) + [0xFF] + Array(#""}"#.utf8)) }
    }

    @Test(arguments: [#"{}"#, #"{"keys":{}}"#, #"{"keys":null}"#, #"{"Keys":[]}"#, #"{"jwks":{"keys":[]}}"#])
    func `a set without an array of keys is rejected`(_ text: String) {
        #expect(throws: JWKSetFault.missingKeys) { try parse(text) }
    }

    @Test(arguments: [#"{"keys":[],"keys":[]}"#, #"{"keys":[],"k\u0065ys":[]}"#, #"{"keys":[],"a":1,"a":1}"#])
    func `a set with duplicate members is rejected`(_ text: String) {
        #expect(throws: JWKSetFault.duplicateMember) { try parse(text) }
    }

    @Test func `an empty set has no keys`() throws {
        #expect(try parse(#"{"keys":[ ]}"#).keys.isEmpty)
    }

    @Test(arguments: [(99, true), (100, true), (101, false)])
    func `a set has at most 100 keys, whether they are usable or not`(_ count: Int, _ isAccepted: Bool) throws {
        let text = #"{"keys":[\#(Array(repeating: "{}", count: count).joined(separator: ","))]}"#
        if isAccepted {
            #expect(try parse(text).skipped.count == count)
        } else {
            #expect(throws: JWKSetFault.tooManyKeys) { try parse(text) }
        }
    }

    @Test(arguments: [(-1, true), (0, true), (1, false)])
    func `a set has at most 1 MiB`(_ excess: Int, _ isAccepted: Bool) throws {
        let text = #"{"keys":[{\#(Self.elliptic)}]}"#
        let padded = text + String(repeating: " ", count: JWKSet.maximumBytes + excess - text.utf8.count)
        if isAccepted {
            #expect(try parse(padded).keys.count == 1)
        } else {
            #expect(throws: JWKSetFault.tooLong) { try parse(padded) }
        }
    }

    @Test func `a bad key is skipped and the others are used`() throws {
        let set = try parse(#"{"keys":[7,{\#(Self.elliptic)},{"kty":"EC"},[],{\#(Self.rsa)}]}"#)
        #expect(set.keys.map(\.number) == [2, 5])
        #expect(
            set.skipped == [
                .init(number: 1, fault: .notAnObject), .init(number: 3, fault: .unsupportedCurve), .init(number: 4, fault: .notAnObject),
            ])
    }

    @Test(arguments: ["d", "p", "q", "dp", "dq", "qi", "oth", "k", #"\u0064"#])
    func `a key with a private member is skipped`(_ name: String) throws {
        #expect(try fault(#"\#(Self.elliptic),"\#(name)":"AQAB""#) == .privateKey)
        #expect(try fault(#"\#(Self.rsa),"use":"enc","\#(name)":[]"#) == .privateKey)
    }

    @Test func `a secret is skipped like a private key, even without its value`() throws {
        #expect(try fault(#""kty":"oct","k":"AQAB""#) == .privateKey)
        #expect(try fault(#""kty":"oct","alg":"HS256""#) == .privateKey)
    }

    @Test(arguments: [
        #""kid":"a","kid":"a""#, #""kid":"a","\u006bid":"b""#, #""unknown":1,"unknown":2"#, #""unknown":{"a":1,"a":2}"#, #""x":1,"x5c":[]"#,
        #""kid":null,"kid":"a""#,
    ])
    func `a key with duplicate members is skipped`(_ members: String) throws {
        #expect(try fault("\(Self.elliptic),\(members)") == .duplicateMember)
    }

    @Test func `keys with the same kid are all kept`() throws {
        let set = try parse(#"{"keys":[{\#(Self.elliptic),"kid":"a"},{\#(Self.rsa),"kid":"a"},{\#(Self.elliptic),"kid":"a"}]}"#)
        #expect(set.keys.map(\.id) == ["a", "a", "a"])
    }

    @Test(arguments: [
        #""use":"enc""#, #""use":"""#, #""use":"SIG""#, #""use":["sig"]"#, #""key_ops":["sign"]"#, #""key_ops":[]"#, #""key_ops":"verify""#,
        #""use":"sig","key_ops":["encrypt"]"#,
    ])
    func `a key for another use is skipped`(_ members: String) throws {
        #expect(try fault("\(Self.elliptic),\(members)") == .otherUse)
    }

    @Test func `null and unknown members are ignored`() throws {
        _ = try key(#"\#(Self.elliptic),"use":null,"d":null,"alg":null,"kid":null,"x5t":{"a":[1]},"key_ops":["sign","verify"]"#)
    }

    @Test(arguments: ["none", "None", "HS256", "RSA-OAEP", "ES256K", "es256", "", "ES256 "])
    func `an unknown, symmetric or misspelt alg skips the key`(_ name: String) throws {
        #expect(try fault(#"\#(Self.elliptic),"alg":"\#(name)""#) == .unsupportedAlgorithm)
    }

    @Test func `an alg that isn't a string skips the key`() throws {
        #expect(try fault(#"\#(Self.elliptic),"alg":["ES256"]"#) == .unsupportedAlgorithm)
    }

    @Test(arguments: ["ES384", "ES512", "RS256", "PS512", "EdDSA"])
    func `an alg of another kind or curve skips the key`(_ name: String) throws {
        #expect(try fault(#"\#(Self.elliptic),"alg":"\#(name)""#) == .wrongAlgorithm)
    }

    @Test(arguments: [
        (#""crv":"P-256""#, JWKFault.missingType), (#""kty":"LWE""#, .unsupportedType), (#""kty":["EC"]"#, .unsupportedType),
        (#""kty":"ec""#, .unsupportedType), (#""kty":"EC""#, .unsupportedCurve), (#""kty":"EC","crv":"secp256k1""#, .unsupportedCurve),
        (#""kty":"EC","crv":"Ed25519""#, .unsupportedCurve), (#""kty":"OKP","crv":"P-256""#, .unsupportedCurve),
        (#""kty":"OKP","crv":"X25519","x":"AQAB""#, .unsupportedCurve),
    ])
    func `an unknown type or curve skips the key`(_ members: String, _ fault: JWKFault) throws {
        #expect(try self.fault(members) == fault)
    }

    @Test(arguments: ["", "AQAB=", "AQA+", "AQ/B", "AQ AB", "A", "AR", #"AQ\n"#, "AQÄ"])
    func `a parameter that isn't base64url skips the key`(_ text: String) throws {
        #expect(try fault(#""kty":"RSA","e":"AQAB","n":"\#(text)""#) == .invalidParameter)
        #expect(try fault(#""kty":"EC","crv":"P-256","x":"\#(Self.x)","y":"\#(text)""#) == .invalidParameter)
    }

    @Test(arguments: [#""kty":"RSA","n":"AQAB""#, #""kty":"RSA","n":"AQAB","e":65537"#, #""kty":"OKP","crv":"Ed25519","x":null"#])
    func `a missing parameter skips the key`(_ members: String) throws {
        #expect(try fault(members) == .invalidParameter)
    }

    @Test(arguments: [(0, false), (1, true), (255, true), (256, true), (257, false), (10_000, false)])
    func `a kid has 1 to 256 bytes`(_ count: Int, _ isAccepted: Bool) throws {
        let id = String(repeating: "k", count: count)
        #expect(try fault(#"\#(Self.elliptic),"kid":"\#(id)""#) == (isAccepted ? nil : .invalidKeyID))
    }

    @Test func `a kid keeps its characters and isn't sanitized`() throws {
        #expect(try key(#"\#(Self.elliptic),"kid":"a\u0000\u0007/../\"é""#).id == "a\u{0}\u{7}/../\"é")
        #expect(try fault(#"\#(Self.elliptic),"kid":"\ud800""#) == .notAnObject)
        #expect(try fault(#"\#(Self.elliptic),"kid":7"#) == .invalidKeyID)
    }

    @Test func `a parameter above 4096 characters skips the key`() throws {
        func members(_ count: Int) -> String { #""kty":"RSA","e":"AQAB","n":"\#(String(repeating: "A", count: count))""# }
        #expect(try fault(members(4096)) == nil)
        #expect(try fault(members(4100)) == .invalidParameter)
    }

    @Test func `a key of a megabyte of members is parsed in linear time`() throws {
        let members = (0..<60_000).map { #""m\#($0)":0"# }.joined(separator: ",")
        #expect(try fault("\(Self.elliptic),\(members)") == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite struct ParleyClaimsTests {
    @Test func `all members are read`() throws {
        let claims = try TokenTexts.parley(
            #"""
            "limits":{"text_per_minute":20,"audio_realtime_factor":1.5,"bytes_per_second":1e6},"paths":["/v1/ws"],"routes":["talk"],
            "types":["text","audio"],"quotas":{"audio_seconds_in_per_day":600,"cost_per_month":0.5},"meta":{"tenant":"acme"},
            "session":{"ttl":"1h","other":1},"realtime":{"voice":"x"},"uses":3,"future":[1]
            """#)
        #expect(claims.limits == [.init(.text, 20), .init(.realtime, 1.5), .init(.byte, 1_000_000)])
        #expect(claims.paths == ["/v1/ws"])
        #expect(claims.routes == ["talk"])
        #expect(claims.types == [.text, .audio])
        #expect(claims.quotas == [.init("audio_seconds_in_per_day", 600), .init("cost_per_month", 0.5)])
        #expect(claims.meta == [.init(key: "tenant", value: "acme")])
        #expect(claims.sessionMilliseconds == 3_600_000)
        #expect(claims.uses == 3)
    }

    @Test(
        arguments: [
            (#""limits":{"text_per_minut":1}"#, .unknownLimit), (#""limits":{"limits.text_per_minute":1}"#, .unknownLimit),
            (#""limits":{"global_per_second":1}"#, .unknownLimit), (#""limits":{"max_violations":1}"#, .unknownLimit),
            (#""limits":{"text_per_minute":"20"}"#, .invalidLimit), (#""limits":{"text_per_minute":-1}"#, .invalidLimit),
            (#""limits":{"text_per_minute":1.5}"#, .invalidLimit), (#""limits":{"text_per_minute":null}"#, .invalidLimit),
            (#""limits":{"text_per_minute":1000000001}"#, .invalidLimit), (#""limits":{"bytes_per_second":1000000000001}"#, .invalidLimit),
            (#""limits":{"text_per_minute":1e999}"#, .invalidLimit), (#""limits":[]"#, .invalidLimit),
            (#""quotas":{"messages_per_year":1}"#, .unknownQuota), (#""quotas":{"message_per_day":1}"#, .unknownQuota),
            (#""quotas":{"messages_per_day":"1"}"#, .invalidQuota), (#""quotas":{"messages_per_day":-1}"#, .invalidQuota),
            (#""quotas":{"messages_per_day":1e16}"#, .invalidQuota), (#""quotas":1"#, .invalidQuota),
            (#""paths":"/v1/ws""#, .invalidPaths), (#""paths":[1]"#, .invalidPaths), (#""paths":[""]"#, .invalidPaths),
            (#""paths":null"#, .invalidPaths),
            (#""routes":["a",null]"#, .invalidRoutes), (#""routes":{}"#, .invalidRoutes),
            (#""types":["video"]"#, .invalidTypes), (#""types":"text""#, .invalidTypes),
            (#""types":["text","text","audio"]"#, .invalidTypes),
            (#""meta":{"a":1}"#, .invalidMeta), (#""meta":{"a b":"c"}"#, .invalidMeta), (#""meta":{"":"c"}"#, .invalidMeta),
            (#""meta":{"a":{"b":"c"}}"#, .invalidMeta), (#""meta":[]"#, .invalidMeta),
            (#""session":{"ttl":3600}"#, .invalidSession), (#""session":{"ttl":"1 h"}"#, .invalidSession),
            (#""session":{"ttl":"99ms"}"#, .invalidSession),
            (#""session":{"ttl":"9999999999999999999d"}"#, .invalidSession), (#""session":"1h""#, .invalidSession),
            (#""realtime":[]"#, .invalidRealtime), (#""uses":101"#, .invalidUses), (#""uses":-1"#, .invalidUses),
            (#""uses":1.5"#, .invalidUses),
            (#""uses":"1""#, .invalidUses), (#""uses":true"#, .invalidUses),
        ] as [(String, TokenFault)])
    func `a misspelt limit or quota, or a value of the wrong type, rejects the token`(members: String, fault: TokenFault) {
        #expect(TokenTexts.fault(parley: members) == fault)
    }

    @Test func `the claim is an object`() {
        for value in ["null", "[]", "\"{}\"", "1", "true"] {
            #expect(TokenTexts.fault(claims: "\(TokenTexts.valid),\"parley\":\(value)") == .parleyNotObject)
        }
        #expect(TokenTexts.fault(parley: "") == nil)
    }

    @Test func `meta has at most 16 entries, keys of 64 bytes and values of 1000, and is sanitized`() throws {
        func meta(_ count: Int) -> String { "\"meta\":{\((0..<count).map { "\"k\($0)\":\"v\"" }.joined(separator: ","))}" }
        #expect(TokenTexts.fault(parley: meta(16)) == nil)
        #expect(TokenTexts.fault(parley: meta(17)) == .invalidMeta)
        func entry(_ key: Int, _ value: Int) -> String {
            "\"meta\":{\"\(String(repeating: "k", count: key))\":\"\(String(repeating: "v", count: value))\"}"
        }
        #expect(TokenTexts.fault(parley: entry(64, 1000)) == nil)
        #expect(TokenTexts.fault(parley: entry(65, 1)) == .invalidMeta)
        #expect(TokenTexts.fault(parley: entry(1, 1001)) == .invalidMeta)
        #expect(try TokenTexts.parley(#""meta":{"a":"x\u0000\u007fy\t\u0085z"}"#).meta == [.init(key: "a", value: "xy\tz")])
    }

    @Test func `a hundred paths are accepted; more are rejected`() {
        func paths(_ count: Int) -> String { "\"paths\":[\((0..<count).map { "\"/p\($0)\"" }.joined(separator: ","))]" }
        #expect(TokenTexts.fault(parley: paths(100)) == nil)
        #expect(TokenTexts.fault(parley: paths(101)) == .invalidPaths)
    }

    @Test func `uses require a jti`() {
        #expect(TokenTexts.fault(claims: #"\#(TokenTexts.valid),"parley":{"uses":1}"#) == .invalidUses)
        #expect(TokenTexts.fault(claims: #"\#(TokenTexts.valid),"parley":{"uses":0}"#) == nil)
        #expect(TokenTexts.fault(claims: #"\#(TokenTexts.valid),"jti":"t","parley":{"uses":100}"#) == nil)
    }

    @Test func `a path includes its alias, and an empty list allows nothing`() throws {
        let claims = try TokenTexts.parley(#""paths":["/v1/ws"],"routes":[],"types":["text"]"#)
        #expect(claims.allows(path: "/v1/ws") && claims.allows(path: "/ws"))
        #expect(!claims.allows(path: "/v1/ws/") && !claims.allows(path: "/other"))
        #expect(!claims.allows(route: "talk"))
        #expect(claims.allows(type: .text) && !claims.allows(type: .audio))
        let alias = try TokenTexts.parley(#""paths":["/ws"]"#)
        #expect(alias.allows(path: "/ws") && !alias.allows(path: "/v1/ws"))
        let none = ParleyClaims()
        #expect(none.allows(path: "/x") && none.allows(route: "x") && none.allows(type: .audio))
    }

    @Test func `durations have a unit`() {
        for (text, milliseconds) in [
            ("100ms", 100), ("30s", 30_000), ("5m", 300_000), ("24h", 86_400_000), ("30d", 2_592_000_000), ("0", 0),
        ] as [(String, Int64)] {
            #expect(DurationNotation.milliseconds(text) == milliseconds)
        }
        for text in ["", "s", "5", "-5s", "5 s", "5S", "1.5h", "5sm", "9223372036854775807h", "٥s"] {
            #expect(DurationNotation.milliseconds(text) == nil)
        }
    }
}

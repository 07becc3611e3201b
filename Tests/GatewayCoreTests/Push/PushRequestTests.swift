// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Testing

@Suite struct PushRequestTests {
    private func parse(_ json: String, rules: ValidationRules = ValidationRules()) throws -> PushRequest {
        try PushRequest(json: Array(json.utf8), rules: rules)
    }

    private func fault(_ json: String, rules: ValidationRules = ValidationRules()) -> PushRequest.Fault? {
        do throws(PushRequest.Fault) {
            _ = try PushRequest(json: Array(json.utf8), rules: rules)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a text is sanitized, and its time to live is optional`() throws {
        #expect(try parse(#"{"type":"text","text":"a\u0007b\n"}"#) == PushRequest(.text(Array("ab\n".utf8))))
        #expect(
            try parse(#"{"ttl":"60s","text":"a","type":"text","final":true}"#)
                == PushRequest(.text(Array("a".utf8)), timeToLive: 60_000))
    }

    @Test func `a status has a state and a progress from 0 to 1`() throws {
        #expect(try parse(#"{"type":"status","state":"shipped"}"#).content == .status(state: "shipped", progress: nil))
        #expect(try parse(#"{"type":"status","state":"s","progress":1}"#).content == .status(state: "s", progress: 1))
        for wrong in ["1.01", "-0.1", #""1""#, "null"] { #expect(fault(#"{"type":"status","state":"s","progress":\#(wrong)}"#) != nil) }
        #expect(fault(#"{"type":"status","state":"\#(String(repeating: "s", count: 64))"}"#) == nil)
        #expect(fault(#"{"type":"status","state":"\#(String(repeating: "s", count: 65))"}"#) != nil)
        #expect(fault(#"{"type":"status","state":""}"#) != nil)
    }

    @Test func `audio is decoded from base64`() throws {
        let format = AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)
        #expect(
            try parse(#"{"type":"audio","format":{"codec":"pcm16","rate":16000},"data":"AQID\/w==","final":true}"#).content
                == .audio(format, [1, 2, 3, 255]))
    }

    @Test(arguments: [
        #"{"type":"audio","data":"AQID/w=="}"#, #"{"type":"audio","format":{"codec":"pcm16","rate":16000}}"#,
        #"{"type":"audio","format":{"codec":"pcm16","rate":16000},"data":""}"#,
        #"{"type":"audio","format":{"codec":"pcm16","rate":16000},"data":"AQID"}"#,
        #"{"type":"audio","format":{"codec":"pcm16","rate":16000},"data":"AQI?"}"#,
        #"{"type":"audio","format":{"codec":"pcm17","rate":16000},"data":"AQID/w=="}"#,
        #"{"type":"audio","format":{"codec":"pcm16","rate":7999},"data":"AQID/w=="}"#,
        #"{"type":"audio","format":{"codec":"pcm16","rate":16000,"channels":3},"data":"AQID/w=="}"#,
        #"{"type":"audio","format":{"codec":"pcm16","rate":16000,"bits":16},"data":"AQID/w=="}"#,
        #"{"type":"audio","format":{"codec":"pcm16","rate":16000},"data":"AQID/w==","final":false}"#,
    ])
    func `invalid audio is rejected`(json: String) { #expect(fault(json) != nil) }

    @Test(arguments: [
        "", "[]", "{}", #"{"type":"text"}"#, #"{"type":"text","text":""}"#, #"{"type":"text","text":"\u0007"}"#,
        #"{"type":"text","text":7}"#, #"{"type":"text","text":"a","text":"b"}"#, #"{"type":"text","text":"a","reply_to":"m1"}"#,
        #"{"type":"text","text":"a","final":false}"#, #"{"type":"text","text":"a","state":"s"}"#, #"{"type":"transcript","text":"a"}"#,
        #"{"type":"text","text":"\ud800"}"#, #"{"type":"text","text":"a"} x"#,
    ])
    func `a body that isn't a message is rejected`(json: String) { #expect(fault(json) != nil) }

    @Test func `the time to live is from 1 ms to 24 h`() throws {
        for (text, expected) in [("1ms", 1), ("24h", 86_400_000), ("1d", 86_400_000)] as [(String, Int64)] {
            #expect(try parse(#"{"type":"text","text":"a","ttl":"\#(text)"}"#).timeToLive == expected)
        }
        for wrong in [#""0""#, #""0s""#, #""86400001ms""#, #""1""#, "60", #""-1s""#, "null"] {
            #expect(fault(#"{"type":"text","text":"a","ttl":\#(wrong)}"#)?.detail.contains("ttl") == true, "\(wrong)")
        }
    }

    @Test func `texts and recordings have the limits of messages`() {
        let rules = ValidationRules(maxTextBytes: 4, audioMaxBytes: 4)
        #expect(fault(#"{"type":"text","text":"aaaa"}"#, rules: rules) == nil)
        #expect(fault(#"{"type":"text","text":"aaaaa"}"#, rules: rules)?.isTooLarge == true)
        func audio(_ count: Int) -> String {
            let data = Data(repeating: 1, count: count).base64EncodedString()
            return #"{"type":"audio","format":{"codec":"mulaw","rate":8000},"data":"\#(data)"}"#
        }
        #expect(fault(audio(4), rules: rules) == nil)
        #expect(fault(audio(5), rules: rules)?.isTooLarge == true)
        #expect(fault(audio(6), rules: rules)?.isTooLarge == true)
    }

    @Test func `a retry has 1 to 1000 ids`() throws {
        let id = "01M7XQ95SZFZG3YNHSE7V35J13"
        func ids(_ count: Int) -> [UInt8] {
            Array(#"{"ids":[\#(Array(repeating: "\"\(id)\"", count: count).joined(separator: ","))]}"#.utf8)
        }
        #expect(try RetryRequest(json: ids(1)).ids.count == 1)
        #expect(try RetryRequest(json: ids(1000)).ids.count == 1000)
        #expect(throws: PushRequest.Fault.self) { try RetryRequest(json: ids(0)) }
        #expect(throws: PushRequest.Fault.self) { try RetryRequest(json: ids(1001)) }
        for wrong in ["{}", "[]", #"{"ids":"\#(id)"}"#, #"{"ids":["x"]}"#, #"{"ids":["\#(id)"],"all":true}"#] {
            #expect(throws: PushRequest.Fault.self) { try RetryRequest(json: Array(wrong.utf8)) }
        }
    }
}

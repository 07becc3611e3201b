// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// The fields of every type except `audio`, each at, below and above its bounds.
@Suite struct MessageFieldTests {
    /// A JSON message and the expected verdict.
    struct Case: Sendable, CustomTestStringConvertible {
        let json: String
        let verdict: String
        var testDescription: String { String(json.prefix(100)) }

        init(_ json: String, _ verdict: String = "ok") {
            self.json = json
            self.verdict = verdict
        }
    }

    private static func repeated(_ count: Int) -> String { String(repeating: "a", count: count) }

    @Test(arguments: [
        Case(#"{}"#, "invalid_message /type"), Case(#"{"type":null}"#, "invalid_message /type"),
        Case(#"{"type":1}"#, "invalid_message /type"),
        Case(#"{"type":{}}"#, "invalid_message /type"), Case(#"{"type":""}"#, "unsupported_type /type"),
        Case(#"{"type":"Ping"}"#, "unsupported_type /type"), Case(#"{"type":"pings"}"#, "unsupported_type /type"),
        Case(#"{"type":"a very long type that nobody knows"}"#, "unsupported_type /type"), Case(#"{"type":"\ud800"}"#, "invalid_json"),
        Case(#"{"type":"session"}"#, "unsupported_type /type"), Case(#"{"type":"p\u0069ng"}"#), Case(#"{"\u0074ype":"ping"}"#),
        Case(#"{"type":"pi\u0000ng\u007f"}"#), Case("{\"type\":\"ping\u{7F}\u{85}\"}"),
        Case(#"{"type":"ping\n"}"#, "unsupported_type /type"),
        Case(#"{"type\u0000":"ping"}"#, "invalid_message /type"), Case(#"{"type":"bye"}"#), Case(#"{"type":"bye","x":"\ud800"}"#),
        Case(#"{"type":"bye","\ud800":1}"#, "invalid_json"), Case(#"{"type":"nope","\ud800":1}"#, "invalid_json"),
    ])
    func `a message requires a known type`(test: Case) {
        #expect(scan(test.json).verdict == test.verdict)
    }

    @Test(arguments: [
        Case(#"{"type":"ping"}"#), Case(#"{"type":"ping","id":null,"ts":null}"#), Case(#"{"ts":1,"id":"a","type":"ping"}"#),
        Case(#"{"type":"ping","ts":-1.5e-3}"#), Case(#"{"type":"ping","ts":"1"}"#, "invalid_message /ts"),
        Case(#"{"type":"ping","ts":true}"#, "invalid_message /ts"), Case(#"{"type":"ping","ts":[]}"#, "invalid_message /ts"),
        Case(#"{"type":"ping","ts":1\#(String(repeating: "0", count: 63))}"#),
        Case(#"{"type":"ping","ts":1\#(String(repeating: "0", count: 64))}"#, "invalid_message /ts"),
        Case(#"{"type":"ping","id":""}"#, "invalid_message /id"), Case(#"{"type":"ping","id":1}"#, "invalid_message /id"),
        Case(#"{"type":"ping","id":"a b"}"#, "invalid_message /id"), Case(#"{"type":"ping","id":"é"}"#, "invalid_message /id"),
        Case(#"{"type":"ping","id":"a\n"}"#, "invalid_message /id"), Case(#"{"type":"ping","id":"\u0000"}"#, "invalid_message /id"),
        Case(#"{"type":"ping","id":"AZaz09._:-"}"#), Case(#"{"type":"ping","id":"\#(repeated(64))"}"#),
        Case(#"{"type":"ping","id":"\#(repeated(64))\u0001"}"#), Case(#"{"type":"ping","id":"\#(repeated(65))"}"#, "invalid_message /id"),
        Case(#"{"type":"ping","id":"\ud83d"}"#, "invalid_json"), Case(#"{"type":"ping","text":"\ud83d","seq":"x"}"#),
    ])
    func `a ping has an optional id and an optional ts`(test: Case) {
        #expect(scan(test.json).verdict == test.verdict)
    }

    @Test func `id and ts of a ping are returned verbatim`() {
        let json = #"{"type":"ping","id":"a\u0000\u0062c","ts":1.50E+3}"#
        if case .ping(let id, let ts)? = scan(json).message {
            #expect(id?.description == "abc" && string(ts, in: json) == "1.50E+3")
        } else {
            Issue.record("no ping")
        }
    }

    @Test(arguments: [
        Case(#"{"type":"text","id":"a","text":"b"}"#), Case(#"{"text":"b","id":"a","type":"text"}"#),
        Case(#"{"type":"text","text":"b"}"#, "invalid_message /id"), Case(#"{"type":"text","id":null,"text":"b"}"#, "invalid_message /id"),
        Case(#"{"type":"text","id":"a"}"#, "invalid_message /text"),
        Case(#"{"type":"text","id":"a","text":null}"#, "invalid_message /text"),
        Case(#"{"type":"text","id":"a","text":""}"#, "invalid_message /text"),
        Case(#"{"type":"text","id":"a","text":["b"]}"#, "invalid_message /text"),
        Case(#"{"type":"text","id":"a","text":"\u0000\u007f\u0085\r"}"#, "invalid_message /text"),
        Case(#"{"type":"text","id":"a","text":"\t"}"#),
        Case(#"{"type":"text","id":"a","text":"\ud800"}"#, "invalid_json"),
        Case(#"{"type":"text","id":"a b","text":"\ud800"}"#, "invalid_json"),
        Case(#"{"type":"text","id":"a","text":"b","stream":true}"#), Case(#"{"type":"text","id":"a","text":"b","stream":null}"#),
        Case(#"{"type":"text","id":"a","text":"b","stream":"true"}"#, "invalid_message /stream"),
        Case(#"{"type":"text","id":"a","text":"b","stream":1}"#, "invalid_message /stream"),
        Case(#"{"type":"text","id":"a","text":"b","lang":"de-CH"}"#), Case(#"{"type":"text","id":"a","text":"b","lang":"d\u0065"}"#),
        Case(#"{"type":"text","id":"a","text":"b","lang":""}"#, "invalid_message /lang"),
        Case(#"{"type":"text","id":"a","text":"b","lang":"de_CH"}"#, "invalid_message /lang"),
        Case(#"{"type":"text","id":"a","text":"b","lang":7}"#, "invalid_message /lang"),
        Case(#"{"type":"text","id":"a","text":"b","reply_to":"\ud800","final":7}"#),
    ])
    func `a text requires an id and a text, and validates its other fields`(test: Case) {
        #expect(scan(test.json).verdict == test.verdict)
    }

    @Test func `the limit applies to the sanitized text`() {
        let rules = ValidationRules(maxTextBytes: 100)
        func text(_ content: String) -> String { #"{"type":"text","id":"a","text":"\#(content)"}"# }
        #expect(scan(text(Self.repeated(99)), rules: rules).verdict == "ok")
        #expect(scan(text(Self.repeated(100)), rules: rules).verdict == "ok")
        #expect(scan(text(Self.repeated(101)), rules: rules).verdict == "message_too_large /text")
        #expect(scan(text(Self.repeated(100) + #"\u0000\r"#), rules: rules).verdict == "ok")
        #expect(scan(text(String(repeating: #"\u00e9"#, count: 50)), rules: rules).verdict == "ok")
        #expect(scan(text(String(repeating: #"\u00e9"#, count: 50) + "a"), rules: rules).verdict == "message_too_large /text")
        #expect(scan(text(String(repeating: "😀", count: 26)), rules: rules).verdict == "message_too_large /text")
        #expect(scan(text(Self.repeated(101)), rules: rules).fault?.replyTo?.description == "a")
        #expect(scan(text(Self.repeated(100_000))).verdict == "ok")
        #expect(scan(text(Self.repeated(100_001))).verdict == "message_too_large /text")
    }

    @Test func `the size limit applies to the raw message, after its type is known`() {
        let rules = ValidationRules(maxBytes: 200)
        func padded(_ start: String, to count: Int) -> String {
            start + #","x":""# + Self.repeated(count - start.utf8.count - 8) + #""}"#
        }
        for start in [#"{"type":"ping","id":"p1""#, #"{"type":"text","id":"p1","text":"a""#, #"{"type":"audio","id":"p1","final":true"#] {
            #expect(padded(start, to: 200).utf8.count == 200)
            #expect(scan(padded(start, to: 200), rules: rules).verdict == "ok")
            let fault = scan(padded(start, to: 201), rules: rules).fault
            #expect(fault?.code == .messageTooLarge)
            #expect(fault?.param == nil)
            #expect(fault?.replyTo?.description == "p1")
        }
        #expect(scan(padded(#"{"type":"nope""#, to: 400), rules: rules).verdict == "unsupported_type /type")
        let recording = #"{"type":"audio","id":"p1","format":{"codec":"opus","rate":8000},"final":true,"data":"AAAA""#
        #expect(scan(padded(recording, to: 400), rules: rules).verdict == "ok")
        #expect(scan(padded(#"{"type":"ping""#, to: 300_000), rules: ValidationRules(maxBytes: 0)).verdict == "ok")
    }

    @Test func `the optional fields of a text have defaults`() {
        let plain = scan(#"{"type":"text","id":"a","text":"b"}"#).text
        #expect(plain?.stream == true)
        #expect(plain?.lang == nil)
        #expect(plain?.output == nil)
        #expect(plain?.meta.isEmpty == true)
        let json =
            #"{"meta":{"k":"v","l":"\u0000w"},"stream":false,"lang":"en","text":"b\"\n","id":"a","type":"text","output":{"modalities":["audio"]}}"#
        let text = scan(json).text
        #expect(text?.stream == false)
        #expect(string(text?.lang, in: json) == "en")
        #expect(string(text?.text, in: json) == "b\"\n")
        #expect(text?.output?.audio == true && text?.output?.text == false)
        #expect(text?.meta.map { string($0.key, in: json) } == ["k", "l"])
        #expect(text?.meta.map { string($0.value, in: json) } == ["v", "w"])
    }

    @Test(arguments: [
        Case("null"), Case("{}"), Case(#"{"modalities":null,"format":null,"voice":null}"#), Case(#"{"modalities":["text"]}"#),
        Case(#"{"modalities":[ "audio" , "text" ]}"#), Case(#"{"modalities":["t\u0065xt"]}"#), Case("7", "invalid_message /output"),
        Case("[]", "invalid_message /output"), Case(#"{"modalities":[]}"#, "invalid_message /output/modalities"),
        Case(#"{"modalities":"text"}"#, "invalid_message /output/modalities"),
        Case(#"{"modalities":["text","text"]}"#, "invalid_message /output/modalities"),
        Case(#"{"modalities":["text","audio","text"]}"#, "invalid_message /output/modalities"),
        Case(#"{"modalities":["video"]}"#, "invalid_message /output/modalities"),
        Case(#"{"modalities":[null]}"#, "invalid_message /output/modalities"),
        Case(#"{"modalities":[["text"]]}"#, "invalid_message /output/modalities"), Case(#"{"voice":"a"}"#),
        Case(#"{"voice":"\#(repeated(128))"}"#), Case(#"{"voice":"\#(repeated(129))"}"#, "invalid_message /output/voice"),
        Case(#"{"voice":""}"#, "invalid_message /output/voice"), Case(#"{"voice":1}"#, "invalid_message /output/voice"),
        Case(#"{"voice":"\ud800"}"#, "invalid_json"), Case(#"{"x":"\ud800"}"#), Case(#"{"format":{"codec":"opus","rate":48000}}"#),
        Case(#"{"format":"opus"}"#, "invalid_message /output/format"), Case(#"{"format":{}}"#, "invalid_message /output/format/codec"),
        Case(#"{"format":{"codec":"mp3","rate":48000}}"#, "invalid_audio /output/format/codec"),
        Case(#"{"format":{"codec":"opus"}}"#, "invalid_message /output/format/rate"),
        Case(#"{"format":{"codec":"opus","rate":7999}}"#, "invalid_audio /output/format/rate"),
        Case(#"{"format":{"codec":"opus","rate":8000,"channels":3}}"#, "invalid_audio /output/format/channels"),
        Case(#"{"format":{"codec":"\udfff","rate":8000}}"#, "invalid_json"),
    ])
    func `the fields of output are validated`(test: Case) {
        #expect(scan(#"{"type":"text","id":"a","text":"b","output":\#(test.json)}"#).verdict == test.verdict)
        #expect(scan(#"{"output":\#(test.json),"final":true,"id":"a","type":"audio"}"#).verdict == test.verdict)
    }

    @Test(arguments: [
        Case("null"), Case("{}"), Case(#"{"a":""}"#), Case(#"{"AZaz09_.-":"x"}"#), Case(#"{"\u0061":"x"}"#),
        Case("[]", "invalid_message /meta"),
        Case(#""a""#, "invalid_message /meta"), Case(#"{"":"x"}"#, "invalid_message /meta"), Case(#"{"a b":"x"}"#, "invalid_message /meta"),
        Case(#"{"a:b":"x"}"#, "invalid_message /meta"), Case(#"{"a/b":"x"}"#, "invalid_message /meta"),
        Case(#"{"é":"x"}"#, "invalid_message /meta"),
        Case(#"{"a\u0000":"x"}"#, "invalid_message /meta"), Case("{\"a\u{7F}\":\"x\"}", "invalid_message /meta"),
        Case(#"{"\#(repeated(64))":"x"}"#), Case(#"{"\#(repeated(65))":"x"}"#, "invalid_message /meta"),
        Case(#"{"k":1}"#, "invalid_message /meta/k"), Case(#"{"k":null}"#, "invalid_message /meta/k"),
        Case(#"{"k":{}}"#, "invalid_message /meta/k"),
        Case(#"{"a":"","k":["x"]}"#, "invalid_message /meta/k"), Case(#"{"k":"\#(repeated(1000))"}"#),
        Case(#"{"k":"\#(repeated(1000))\u0000"}"#),
        Case(#"{"k":"\#(repeated(1001))"}"#, "invalid_message /meta/k"), Case(#"{"k":"\ud800"}"#, "invalid_json"),
        Case(#"{"\ud800":"x"}"#, "invalid_json"), Case(#"{"k":1,"k":2}"#, "invalid_json"), Case(#"{"k":1,"l":"\ud800"}"#, "invalid_json"),
    ])
    func `meta is a flat object of strings`(test: Case) {
        #expect(scan(#"{"type":"text","id":"a","text":"b","meta":\#(test.json)}"#).verdict == test.verdict)
        #expect(scan(#"{"meta":\#(test.json),"type":"audio","id":"a","from":1}"#).verdict == test.verdict)
    }

    @Test func `meta has at most sixteen entries`() {
        func meta(_ count: Int) -> String {
            #"{"type":"text","id":"a","text":"b","meta":{\#((0..<count).map { #""k\#($0)":"v""# }.joined(separator: ","))}}"#
        }
        #expect(scan(meta(16)).text?.meta.count == 16)
        #expect(scan(meta(17)).verdict == "invalid_message /meta")
        #expect(scan(meta(10_000)).verdict == "invalid_message /meta")
    }

    @Test(arguments: [
        Case(#"{"type":"status"}"#), Case(#"{"type":"status","id":"a"}"#),
        Case(#"{"type":"status","state":null,"reply_to":null,"played_ms":null}"#),
        Case(#"{"type":"status","state":"typing"}"#), Case(#"{"type":"status","state":"idle"}"#),
        Case(#"{"type":"status","state":"recording"}"#),
        Case(#"{"type":"status","state":"muted"}"#), Case(#"{"type":"status","state":"playing","reply_to":"m1","played_ms":0}"#),
        Case(#"{"type":"status","state":"thinking"}"#, "invalid_message /state"),
        Case(#"{"type":"status","state":""}"#, "invalid_message /state"),
        Case(#"{"type":"status","state":1}"#, "invalid_message /state"), Case(#"{"type":"status","state":"\ud800"}"#, "invalid_json"),
        Case(#"{"type":"status","reply_to":"a b"}"#, "invalid_message /reply_to"),
        Case(#"{"type":"status","reply_to":7}"#, "invalid_message /reply_to"),
        Case(#"{"type":"status","played_ms":9223372036854775807}"#),
        Case(#"{"type":"status","played_ms":18446744073709551616}"#), Case(#"{"type":"status","played_ms":-1}"#),
        Case(#"{"type":"status","played_ms":12.5}"#), Case(#"{"type":"status","played_ms":1e400}"#),
        Case(#"{"type":"status","played_ms":"12"}"#, "invalid_message /played_ms"),
        Case(#"{"type":"cancel","id":"a"}"#), Case(#"{"type":"cancel"}"#, "invalid_message /id"),
        Case(#"{"type":"cancel","id":"a","reason":"","played_ms":5}"#),
        Case(#"{"type":"cancel","id":"a","reason":"\#(repeated(1000))"}"#),
        Case(#"{"type":"cancel","id":"a","reason":"\#(repeated(1001))"}"#, "invalid_message /reason"),
        Case(#"{"type":"cancel","id":"a","reason":[]}"#, "invalid_message /reason"),
        Case(#"{"type":"cancel","id":"a","played_ms":true}"#, "invalid_message /played_ms"),
        Case(#"{"type":"cancel","id":"a","reason":"\ud800"}"#, "invalid_json"), Case(#"{"type":"ack","seq":0}"#),
        Case(#"{"type":"ack","seq":18446744073709551615}"#), Case(#"{"type":"ack","seq":18446744073709551616}"#, "invalid_message /seq"),
        Case(#"{"type":"ack","seq":99999999999999999999}"#, "invalid_message /seq"),
        Case(#"{"type":"ack","seq":100000000000000000000}"#, "invalid_message /seq"),
        Case(#"{"type":"ack"}"#, "invalid_message /seq"), Case(#"{"type":"ack","seq":null}"#, "invalid_message /seq"),
        Case(#"{"type":"ack","seq":-1}"#, "invalid_message /seq"), Case(#"{"type":"ack","seq":1.5}"#, "invalid_message /seq"),
        Case(#"{"type":"ack","seq":1e20}"#, "invalid_message /seq"), Case(#"{"type":"ack","seq":1.0}"#),
        Case(#"{"type":"ack","seq":"1"}"#, "invalid_message /seq"), Case(#"{"type":"auth","token":"t"}"#),
        Case(#"{"type":"auth","token":"\#(repeated(8192))"}"#),
        Case(#"{"type":"auth","token":"\#(repeated(8193))"}"#, "invalid_message /token"),
        Case(#"{"type":"auth","token":""}"#, "invalid_message /token"), Case(#"{"type":"auth"}"#, "invalid_message /token"),
        Case(#"{"type":"auth","token":null}"#, "invalid_message /token"), Case(#"{"type":"auth","token":1}"#, "invalid_message /token"),
    ])
    func `the fields of status, cancel, ack and auth are validated`(test: Case) {
        #expect(scan(test.json).verdict == test.verdict)
    }

    @Test(
        arguments: [
            ("0", 0), ("1234", 1234), ("1234.9999", 1234), ("0.999", 0), ("12.0", 12), ("1e3", 1000), ("1.5E+3", 1500), ("12345e-2", 123),
            ("-0", 0), ("-0.0", 0), ("-1", 0), ("-17.3", 0), ("1e-9", 0), ("9223372036854775807", .max), ("9223372036854775808", .max),
            ("1e19", .max), ("1e400", .max), ("-1e400", 0), ("0e99999999999999999999", 0), ("1e99999999999999999999", .max),
            ("1e-99999999999999999999", 0), ("0.000000000000000000123456e21", 123), ("1723456789012.3456", 1_723_456_789_012),
        ] as [(String, Int64)])
    func `played_ms is any number, rounded down and clamped to 0`(number: String, expected: Int64) {
        #expect(scan(#"{"type":"status","played_ms":\#(number)}"#).status?.playedMilliseconds == expected)
        if case .cancel(_, _, let played)? = scan(#"{"type":"cancel","id":"a","played_ms":\#(number)}"#).message {
            #expect(played == expected)
        } else {
            Issue.record("no cancel")
        }
    }

    @Test(
        arguments: [
            ("0", 0), ("0.0", 0), ("-0", 0), ("16000.0", 16_000), ("1.6e4", 16_000), ("1.6E+4", 16_000), ("160000e-1", 16_000),
            ("16000.000000000000000000000", 16_000), ("0.00016e8", 16_000), ("18446744073709551615", .max),
            ("1.8446744073709551615e19", .max), ("184467440737095516150e-1", .max), ("9007199254740993.0", 9_007_199_254_740_993),
            ("16000.5", nil), ("1e-1", nil), ("-1.0", nil), ("18446744073709551616", nil), ("1e20", nil), ("1e99999999999999999999", nil),
            ("\"1\"", nil), ("true", nil), ("[]", nil),
        ] as [(String, UInt64?)])
    func `an integer may be written with a fraction of zeros or an exponent`(number: String, expected: UInt64?) {
        let scanned = scan(#"{"type":"ack","seq":\#(number)}"#)
        if case .ack(let sequence)? = scanned.message { #expect(sequence == expected) } else { #expect(expected == nil) }
        if expected == nil { #expect(scanned.verdict == "invalid_message /seq") }
    }

    @Test func `a number of a hundred thousand digits is parsed`() {
        let zeros = String(repeating: "0", count: 100_000)
        #expect(scan(#"{"type":"ack","seq":1\#(zeros)e-100000}"#).verdict == "ok")
        #expect(scan(#"{"type":"ack","seq":0.\#(zeros)1e100001}"#).verdict == "ok")
        #expect(scan(#"{"type":"ack","seq":1\#(zeros)}"#).verdict == "invalid_message /seq")
    }

    @Test func `the fields of status, cancel, ack and auth are returned`() {
        let status = scan(#"{"type":"status","id":"s","state":"pl\u0061ying","reply_to":"m\u00071","played_ms":1234}"#).status
        #expect(status?.id?.description == "s" && status?.state == .playing && status?.replyTo?.description == "m1")
        #expect(status?.playedMilliseconds == 1234)
        let json = #"{"type":"cancel","id":"c","reason":"no\u0007 more","played_ms":9}"#
        if case .cancel(let id, let reason, let played)? = scan(json).message {
            #expect(id.description == "c" && string(reason, in: json) == "no more" && played == 9)
        } else {
            Issue.record("no cancel")
        }
        if case .ack(let sequence)? = scan(#"{"type":"ack","seq":18446744073709551615}"#).message {
            #expect(sequence == .max)
        } else {
            Issue.record("no ack")
        }
        let auth = #"{"type":"auth","token":"a.b.c"}"#
        if case .auth(let token)? = scan(auth).message { #expect(string(token, in: auth) == "a.b.c") } else { Issue.record("no auth") }
    }

    @Test(arguments: [
        Case(#"{"type":"ping","x":1}"#, "invalid_message /x"), Case(#"{"x":1,"type":"ping"}"#, "invalid_message /x"),
        Case(#"{"type":"ping","text":"a"}"#, "invalid_message /text"), Case(#"{"type":"ping","seq":1,"x":1}"#, "invalid_message /seq"),
        Case(#"{"type":"ping","x":1,"seq":1}"#, "invalid_message /x"), Case(#"{"type":"ping","x":null}"#, "invalid_message /x"),
        Case(#"{"type":"ping","a/b~c":1}"#, "invalid_message /a~1b~0c"), Case(#"{"type":"ping","":1}"#, "invalid_message /"),
        Case(#"{"type":"ping","\u0078":1}"#, "invalid_message /x"), Case(#"{"type":"ping","é😀":1}"#, "invalid_message /é😀"),
        Case(#"{"type":"ping","a\u0000b":1}"#, "invalid_message"),
        Case(#"{"type":"ping","\#(repeated(128))":1}"#, "invalid_message /\(repeated(128))"),
        Case(#"{"type":"ping","\#(repeated(129))":1}"#, "invalid_message"), Case(#"{"type":"ping","codec":1}"#, "invalid_message /codec"),
        Case(#"{"type":"text","id":"a","text":"b","output":{"x":1}}"#, "invalid_message /output/x"),
        Case(#"{"type":"text","id":"a","text":"b","output":{"codec":1}}"#, "invalid_message /output/codec"),
        Case(
            #"{"type":"text","id":"a","text":"b","output":{"format":{"codec":"opus","rate":8000,"x":1}}}"#,
            "invalid_message /output/format/x"),
        Case(#"{"type":"text","id":"a","text":"b","output":{"\#(repeated(200))":1}}"#, "invalid_message /output"),
        Case(#"{"type":"audio","id":"a","format":{"codec":"opus","rate":8000,"x":1}}"#, "invalid_message /format/x"),
        Case(#"{"type":"audio","id":"a","format":{"codec":"opus","rate":8000,"format":1}}"#, "invalid_message /format/format"),
        Case(#"{"type":"text","id":"a","text":"b","meta":{"anything":"goes"}}"#), Case(#"{"type":"ping","id":"a","ts":1}"#),
    ])
    func `unknown fields are ignored, or rejected if configured`(test: Case) {
        #expect(scan(test.json).verdict == "ok")
        #expect(scan(test.json, rules: ValidationRules(rejectsUnknownFields: true)).verdict == test.verdict)
    }

    @Test func `a fault contains the id of the message if the id is valid`() {
        func replyTo(_ json: String) -> String? { scan(json).fault?.replyTo?.description }
        #expect(replyTo(#"{"type":"text","id":"m1","text":""}"#) == "m1")
        #expect(replyTo(#"{"text":"","id":"m\u0000\u0031","type":"text"}"#) == "m1")
        #expect(replyTo(#"{"type":"nope","id":"m1"}"#) == "m1")
        #expect(replyTo(#"{"id":"m1"}"#) == "m1")
        #expect(replyTo(#"{"type":"text","id":"m1","text":"\ud800"}"#) == "m1")
        #expect(replyTo(#"{"type":"text","id":"m1","text":"a","meta":{"a":1}}"#) == "m1")
        #expect(replyTo(#"{"type":"text","id":"m1","text":"a","meta":{"a":"1","a":"1"}}"#) == "m1")
        #expect(replyTo(#"{"type":"text","id":"m 1","text":"a"}"#) == nil)
        #expect(replyTo(#"{"type":"text","id":"\ud800","text":"a"}"#) == nil)
        #expect(replyTo(#"{"type":"ack","id":"m1","seq":-1}"#) == nil)
        #expect(replyTo(#"{"type":"ping","id":"m1","ts":""}"#) == "m1")
        #expect(replyTo(#"{"type":"text","id":"m1","text":"a"}x"#) == nil)
    }

    @Test func `a scanner keeps no state between messages`() {
        var scanner = MessageScanner(rules: ValidationRules())
        let full = #"{"type":"text","id":"a","text":"b","lang":"en","meta":{"a":"b"},"output":{"voice":"v"},"stream":false}"#
        for _ in 0..<3 {
            #expect(scan(Array(full.utf8), with: &scanner).text?.meta.count == 1)
            #expect(scan(Array(#"{"type":"text","id":"a"}"#.utf8), with: &scanner).verdict == "invalid_message /text")
            let plain = scan(Array(#"{"type":"text","id":"a","text":"b"}"#.utf8), with: &scanner).text
            #expect(plain?.lang == nil && plain?.meta.isEmpty == true && plain?.output == nil && plain?.stream == true)
            #expect(
                scan(Array(#"{"type":"text","id":"a","text":"b","meta":{"a b":"b"}}"#.utf8), with: &scanner).verdict
                    == "invalid_message /meta")
            #expect(scan(Array(#"{"type":"text","id":"a","text":"b","meta":{"#.utf8), with: &scanner).verdict == "invalid_json")
            #expect(scan(Array(#"{"type":"text","id":"a","text":"b","meta":{"b":"c"}}"#.utf8), with: &scanner).text?.meta.count == 1)
        }
    }
}

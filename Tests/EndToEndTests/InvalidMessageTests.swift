// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Invalid messages: each gets its exact error, and the next valid message is served (protocol page, sections "Messages", "Errors").
@Suite(.bounded) struct InvalidMessageTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var sent: String
        var code: String
        var param: String?
        var testDescription: String { "\(code) \(sent.prefix(60))" }

        init(_ sent: String, _ code: String, _ param: String? = nil) {
            self.sent = sent
            self.code = code
            self.param = param
        }
    }

    static let json: [Case] = [
        "", " ", "{", "}", "[]", "null", "1", "\"x\"", "{}{}", "{\"type\":\"ping\"} x", "{'type':'ping'}", "{type:\"ping\"}",
        "{\"type\":\"ping\",}", "{\"type\":\"ping\" \"id\":\"a\"}", "{\"type\":\"ping\",\"type\":\"ping\"}",
        "{\"type\":\"ping\",\"typ\\u0065\":\"ping\"}", "{\"type\":\"ping\",\"ts\":01}", "{\"type\":\"ping\",\"ts\":+1}",
        "{\"type\":\"ping\",\"ts\":.5}", "{\"type\":\"ping\",\"ts\":1.}", "{\"type\":\"ping\",\"ts\":NaN}", "{\"type\":\"ping\",\"ts\":-}",
        "{\"type\":\"text\",\"id\":\"a\",\"text\":\"a\tb\"}", "{\"type\":\"text\",\"id\":\"a\",\"text\":\"a\u{0}b\"}",
        "{\"type\":\"text\",\"id\":\"a\",\"text\":\"\\x\"}", "{\"type\":\"text\",\"id\":\"a\",\"text\":\"\\u12\"}",
        "{\"type\":\"text\",\"id\":\"a\",\"text\":\"\\ud800\"}", "{\"type\":\"text\",\"id\":\"a\",\"text\":\"\\udc00\\ud800\"}",
        "{\"type\":\"text\",\"id\":\"a\",\"text\":\"\\ud83dx\"}", "\u{FEFF}{\"type\":\"ping\"}", "{\"type\":\"ping\"}\u{0}",
        "{\"type\":\"text\",\"id\":\"a\",\"text\":\"a\",\"meta\":{\"k\":\"1\",\"k\":\"2\"}}",
        "{\"type\":\"text\",\"id\":\"a\",\"text\":\"a\",\"output\":{\"voice\":\"1\",\"voice\":\"2\"}}",
        "{\"type\":\"audio\",\"id\":\"a\",\"format\":{\"codec\":\"pcm16\",\"codec\":\"pcm16\",\"rate\":16000,\"channels\":1}}",
        "{\"type\":\"ping\",\"x\":" + String(repeating: "[", count: 16) + String(repeating: "]", count: 16) + "}",
    ].map { Case($0, "invalid_json") }

    static let messages: [Case] = [
        Case("{}", "invalid_message", "/type"),
        Case(#"{"type":1}"#, "invalid_message", "/type"),
        Case(#"{"type":null}"#, "invalid_message", "/type"),
        Case(#"{"type":"nonsense"}"#, "unsupported_type", "/type"),
        Case(#"{"type":"PING"}"#, "unsupported_type", "/type"),
        Case(#"{"type":"session"}"#, "unsupported_type", "/type"),
        Case(#"{"type":""}"#, "unsupported_type", "/type"),
        Case(#"{"type":"ping","id":""}"#, "invalid_message", "/id"),
        Case(#"{"type":"ping","id":7}"#, "invalid_message", "/id"),
        Case(#"{"type":"ping","id":"a b"}"#, "invalid_message", "/id"),
        Case(#"{"type":"ping","id":"ä"}"#, "invalid_message", "/id"),
        Case(#"{"type":"ping","id":"\#(String(repeating: "i", count: 65))"}"#, "invalid_message", "/id"),
        Case(#"{"type":"ping","ts":"1"}"#, "invalid_message", "/ts"),
        Case(#"{"type":"text","text":"a"}"#, "invalid_message", "/id"),
        Case(#"{"type":"text","id":"a"}"#, "invalid_message", "/text"),
        Case(#"{"type":"text","id":"a","text":""}"#, "invalid_message", "/text"),
        Case(#"{"type":"text","id":"a","text":["a"]}"#, "invalid_message", "/text"),
        Case(#"{"type":"text","id":"a","text":"a","lang":"not a tag"}"#, "invalid_message", "/lang"),
        Case(#"{"type":"text","id":"a","text":"a","lang":1}"#, "invalid_message", "/lang"),
        Case(#"{"type":"text","id":"a","text":"a","stream":"yes"}"#, "invalid_message", "/stream"),
        Case(#"{"type":"text","id":"a","text":"a","meta":[]}"#, "invalid_message", "/meta"),
        Case(#"{"type":"text","id":"a","text":"a","meta":{"k":1}}"#, "invalid_message", "/meta/k"),
        Case(#"{"type":"text","id":"a","text":"a","meta":{"k":{}}}"#, "invalid_message", "/meta/k"),
        Case(#"{"type":"text","id":"a","text":"a","meta":{"":"v"}}"#, "invalid_message", nil),
        Case(#"{"type":"text","id":"a","text":"a","meta":{"a:b":"v"}}"#, "invalid_message", nil),
        Case(#"{"type":"text","id":"a","text":"a","meta":{"k":"\#(String(repeating: "v", count: 1001))"}}"#, "invalid_message", "/meta/k"),
        Case(
            #"{"type":"text","id":"a","text":"a","meta":{\#((0..<17).map { "\"k\($0)\":\"v\"" }.joined(separator: ","))}}"#,
            "invalid_message", "/meta"),
        Case(#"{"type":"text","id":"a","text":"a","output":[]}"#, "invalid_message", "/output"),
        Case(#"{"type":"text","id":"a","text":"a","output":{"modalities":"text"}}"#, "invalid_message", "/output/modalities"),
        Case(#"{"type":"text","id":"a","text":"a","output":{"modalities":["smell"]}}"#, "invalid_message", nil),
        Case(#"{"type":"text","id":"a","text":"a","output":{"voice":7}}"#, "invalid_message", "/output/voice"),
        Case(
            #"{"type":"text","id":"a","text":"a","output":{"format":{"codec":"mp3","rate":16000,"channels":1}}}"#, "invalid_audio",
            "/output/format/codec"),
        Case(#"{"type":"status","state":"dancing"}"#, "invalid_message", "/state"),
        Case(#"{"type":"status","id":"s","state":"playing","played_ms":"1"}"#, "invalid_message", "/played_ms"),
        Case(#"{"type":"status","state":"playing","played_ms":true}"#, "invalid_message", "/played_ms"),
        Case(#"{"type":"status","state":"idle","reply_to":""}"#, "invalid_message", "/reply_to"),
        Case(#"{"type":"cancel"}"#, "invalid_message", "/id"),
        Case(#"{"type":"cancel","id":"a","reason":1}"#, "invalid_message", "/reason"),
        Case(#"{"type":"ack"}"#, "invalid_message", "/seq"),
        Case(#"{"type":"ack","seq":-1}"#, "invalid_message", "/seq"),
        Case(#"{"type":"ack","seq":"1"}"#, "invalid_message", "/seq"),
        Case(#"{"type":"ack","seq":1.5}"#, "invalid_message", "/seq"),
        Case(#"{"type":"auth"}"#, "invalid_message", "/token"),
        Case(#"{"type":"audio","id":"a"}"#, "invalid_message", "/format"),
        Case(#"{"type":"audio","id":"a","format":{}}"#, "invalid_message", "/format/codec"),
        Case(#"{"type":"audio","id":"a","format":{"codec":"pcm16","rate":7999,"channels":1}}"#, "invalid_audio", "/format/rate"),
        Case(#"{"type":"audio","id":"a","format":{"codec":"pcm16","rate":48001,"channels":1}}"#, "invalid_audio", "/format/rate"),
        Case(#"{"type":"audio","id":"a","format":{"codec":"pcm16","rate":16000,"channels":0}}"#, "invalid_audio", "/format/channels"),
        Case(#"{"type":"audio","id":"a","format":{"codec":"pcm16","rate":16000,"channels":3}}"#, "invalid_audio", "/format/channels"),
        Case(#"{"type":"audio","id":"a","format":{"codec":"flac","rate":16000,"channels":1}}"#, "invalid_audio", "/format/codec"),
        Case(#"{"type":"ping","colour":"red"}"#, "invalid_message", "/colour"),
        Case(#"{"type":"ping","text":"red"}"#, "invalid_message", "/text"),
        Case(#"{"type":"text","id":"a","text":"a","output":{"loud":true}}"#, "invalid_message", "/output/loud"),
        Case(#"{"type":"ping","a/b~c":1}"#, "invalid_message", "/a~1b~0c"),
    ]

    @Test(arguments: json + messages)
    func `an invalid message gets its error, and the next one is served`(_ bad: Case) async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(bad.sent)
        let error = try await client.error(bad.code)
        #expect(error["fatal"] == false)
        #expect(error["retryable"] == false)
        if let param = bad.param { #expect(error["param"] == .string(param)) }
        if bad.code == "invalid_message" { #expect(error["param"].string != nil) }
        // The id of the rejected message can be used again.
        try await client.send(["type": "text", "id": "a", "text": "good"])
        #expect(try await client.message() == ["type": "ack", "id": "a"])
        #expect(try await client.message("text")["text"] == "good")
    }

    @Test(arguments: messages.suffix(4))
    func `with unknown_fields ignore an unknown field is ignored`(_ unknown: Case) async throws {
        let gateway = try await SharedGateways.withoutLimits(["messages.unknown_fields": "ignore"])
        let client = try await gateway.client()
        try await client.send(unknown.sent)
        let response = try await client.message()
        #expect(response["type"] == "pong" || response["type"] == "ack")
    }

    @Test(arguments: ["ignore", "reject"])
    func `the value of an unknown field must be valid JSON`(mode: String) async throws {
        let gateway = try await SharedGateways.withoutLimits(["messages.unknown_fields": mode])
        let client = try await gateway.client()
        try await client.send(#"{"type":"ping","x":[1,]}"#)
        _ = try await client.error("invalid_json")
        try await client.expectServed()
    }

    @Test func `nesting of 16 levels is accepted, of 17 is invalid_json`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["messages.unknown_fields": "ignore"])
        let client = try await gateway.client()
        for depth in [15, 16] {
            try await client.send(
                #"{"type":"ping","x":\#(String(repeating: "[", count: depth))\#(String(repeating: "]", count: depth))}"#)
            if depth == 15 { _ = try await client.message("pong") } else { _ = try await client.error("invalid_json") }
        }
    }

    @Test func `meta accepts 16 entries, keys of 64 characters and values of 1 KB`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let key = String(repeating: "k", count: 62)
        let value = String(repeating: "v", count: 1000)
        let meta = JSON.object(Dictionary(uniqueKeysWithValues: (10..<26).map { ("\(key)\($0)", JSON.string(value)) }))
        try await client.send(["type": "text", "id": "m", "text": "x", "meta": meta])
        #expect(try await client.message() == ["type": "ack", "id": "m"])
        _ = try await client.message("text")
        let long = JSON.object([key + "123": "v"])
        try await client.send(["type": "text", "id": "n", "text": "x", "meta": long])
        _ = try await client.error("invalid_message")
        try await client.expectServed()
    }

    @Test func `output is accepted with modalities, format and voice`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        let output: JSON = [
            "modalities": ["text", "audio"], "format": ["codec": "opus", "rate": 48000, "channels": 2], "voice": "alto",
        ]
        try await client.send(["type": "text", "id": "m", "text": "x", "output": output])
        #expect(try await client.message() == ["type": "ack", "id": "m"])
    }

    @Test func `a JSON message of messages max_bytes is accepted, one byte more is message_too_large`() async throws {
        let gateway = try await SharedGateways.withoutLimits(["messages.max_bytes": "1000", "messages.unknown_fields": "ignore"])
        let client = try await gateway.client()
        func message(_ count: Int) -> String {
            let empty = #"{"type":"ping","id":"x","pad":""}"#
            return empty.replacing("\"\"", with: "\"" + String(repeating: "p", count: count - empty.utf8.count) + "\"")
        }
        try await client.send(message(1000))
        #expect(try await client.message("pong")["id"] == "x")
        try await client.send(message(1001))
        let error = try await client.error("message_too_large")
        #expect(error["fatal"] == false)
        #expect(error["reply_to"] == "x")
        try await client.expectServed()
    }

    @Test func `an error has the id of its message in reply_to`() async throws {
        let client = try await SharedGateways.withoutLimits().client()
        try await client.send(#"{"type":"text","id":"named","text":7}"#)
        let error = try await client.error("invalid_message")
        #expect(error["reply_to"] == "named")
        // In development, details are included.
        #expect(error["details"].string != nil)
    }

    @Test func `in staging errors have no details`() async throws {
        let files = try await TestCertificatePair.shared.files
        let gateway = try await SharedGateways.withoutLimits(["environment": "staging", "tls.certificates": files, "auth.mode": "none"])
        let client = try await gateway.client()
        try await client.send(#"{"type":"text","id":"named","text":7}"#)
        #expect(try await client.error("invalid_message")["details"].isNull)
        // Unknown fields, which development rejects, are ignored.
        try await client.send(#"{"type":"ping","colour":"red"}"#)
        _ = try await client.message("pong")
    }
}

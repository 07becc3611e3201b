// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Upstream message") struct UpstreamMessageTests {
    private func read(_ json: String) throws(ResponseFault) -> UpstreamMessage {
        try Array(json.utf8).withRawSpanThrowing { (bytes) throws(ResponseFault) in try UpstreamMessage(bytes) }
    }

    private func shown(_ json: String) throws -> String {
        let message = try read(json)
        let body =
            switch message.body {
            case .event(.text(let text, let final)): "text \(String(decoding: text, as: UTF8.self)) \(final)"
            case .event(.transcript(let text, let final, let confidence, let start, let end)):
                "transcript \(String(decoding: text, as: UTF8.self)) \(final) \(confidence ?? -1) \(start ?? -1) \(end ?? -1)"
            case .event(.status(let state, let progress, _)): "status \(state) \(progress ?? -1)"
            case .event: "event"
            case .audioBegin(let format): "begin \(format.codec.rawValue) \(format.rate) \(format.channels)"
            case .audioEnd: "end"
            case .chunk(let bytes): "chunk \(bytes)"
            case .recording(let format, let bytes): "recording \(format.rate) \(bytes)"
            case .failure(let retryable, let after): "failure \(retryable.map { "\($0)" } ?? "-") \(after ?? -1)"
            }
        return "\(message.request.map { "\($0): " } ?? "")\(body)\(message.isDone ? " done" : "")"
    }

    @Test(arguments: [
        (#"{"type":"text","request":7,"text":"Hel","final":false}"#, "7: text Hel false"),
        (#"{"type":"text","request":7,"text":"lo","done":true}"#, "7: text lo true done"),
        (#"{"text":"Hello"}"#, "text Hello true"),
        (#"{"text":"a\u0007b\u00e9"}"#, "text abé true"),
        (#"{"type":"transcript","text":"hi","final":true,"confidence":0.5,"start_ms":10.7,"end_ms":20}"#, "transcript hi true 0.5 10 20"),
        (#"{"type":"status","state":"thinking","progress":1}"#, "status thinking 1.0"),
        (#"{"type":"audio","format":{"codec":"pcm16","rate":24000}}"#, "begin pcm16 24000 1"),
        (#"{"type":"audio","final":true,"done":true}"#, "end done"),
        (#"{"type":"chunk","bytes":640}"#, "chunk 640"),
        (
            #"{"type":"audio","format":{"codec":"pcm16","rate":8000,"channels":1},"data":"AAEC Aw=="}"#.replacing(" ", with: ""),
            "recording 8000 [0, 1, 2, 3]"
        ),
        (#"{"type":"error","message":"no","retryable":false}"#, "failure false -1 done"),
        (#"{"type":"error","retry_after_ms":2000}"#, "failure - 2000 done"),
        (#"{"type":"text","text":"x","more":{"deep":[1,{"a":null}]},"type":"status"}"#, "text x false"),
    ])
    func `a valid message is parsed`(json: String, expected: String) throws {
        #expect(try shown(json) == expected)
    }

    @Test(arguments: [
        ("", "the response isn't JSON"), ("[]", "the response isn't a JSON object"), ("{", "the response isn't JSON"),
        (#"{"text":"a"} x"#, "the response isn't JSON"), (#"{"text":1}"#, "text isn't a string"),
        (#"{"type":"text"}"#, "text isn't a string"),
        (#"{"type":"text","text":"a","final":1}"#, "final isn't true or false"),
        (#"{"type":"text","text":"a","done":"yes"}"#, "done isn't true or false"),
        (#"{"type":"dance"}"#, "unknown message type"),
        ("{}", "unknown message type"), (#"{"type":"status","state":""}"#, "state isn't a string of 1 to 64 bytes"),
        (#"{"type":"status","state":"a","progress":1.01}"#, "progress isn't from 0 to 1"),
        (#"{"type":"transcript","text":"a","confidence":-1}"#, "confidence isn't from 0 to 1"),
        (#"{"type":"audio"}"#, "audio has neither format nor final"),
        (#"{"type":"audio","format":{"codec":"mp3","rate":8000}}"#, "unsupported format"),
        (#"{"type":"audio","format":{"codec":"pcm16","rate":7999}}"#, "unsupported format"),
        (#"{"type":"audio","format":{"codec":"pcm16","rate":8000},"data":"AA=="}"#, "data isn't base64 of whole samples"),
        (#"{"type":"chunk","bytes":0}"#, "bytes isn't a number from 1 to 1048576"),
        (#"{"type":"chunk","bytes":1048577}"#, "bytes isn't a number from 1 to 1048576"),
        (#"{"type":"text","text":"a","request":-1}"#, "request isn't a whole number"),
        (String(repeating: #"{"a":"#, count: 17) + "1" + String(repeating: "}", count: 17), "the response isn't JSON"),
    ])
    func `an invalid message is rejected with the reason`(json: String, reason: String) throws {
        let fault = #expect(throws: ResponseFault.self) { _ = try read(json) }
        #expect(fault?.description == reason)
    }

    @Test func `a fault has the request number of the message`() {
        let fault = #expect(throws: ResponseFault.self) { _ = try read(#"{"type":"text","request":9,"text":1}"#) }
        #expect(fault?.request == 9)
    }

    @Test func `usage and finish reason are parsed; unknown reasons are ignored`() throws {
        let message = try read(#"{"text":"a","done":true,"finish":"length","usage":{"input_tokens":3,"output_tokens":4}}"#)
        #expect(message.summary == ResponseSummary(usage: Usage(inputTokens: 3, outputTokens: 4), finish: .length))
        #expect(try read(#"{"text":"a","done":true,"finish":"whatever"}"#).summary == ResponseSummary())
    }

    @Test func `a lone surrogate is read as U+FFFD, NaN as null`() throws {
        #expect(try shown(#"{"text":"a\ud800"}"#) == "text a\u{FFFD} true")
        #expect(
            try shown(#"{"type":"transcript","text":"a","final":true,"confidence":NaN,"x":[-Infinity,Infinity]}"#).hasPrefix("transcript a")
        )
    }

    @Test func `more than 16 fields are parsed`() throws {
        let many = (0..<40).map { "\"x\($0)\":\($0)," }.joined()
        #expect(try shown("{\(many)\"text\":\"a\"}") == "text a true")
    }
}

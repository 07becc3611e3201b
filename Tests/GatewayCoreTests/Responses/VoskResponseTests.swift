// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// The inputs are output of `Recognizer` in vosk-api, with its white space.
@Suite struct VoskResponseTests {
    private func read(_ json: String) throws -> VoskResponse {
        try Array(json.utf8).withRawSpanThrowing { (bytes) throws(ResponseFault) in try VoskResponse(bytes) }
    }

    @Test(arguments: [
        (#"{"partial":"hel"}"#, "hel"), ("{\n  \"partial\" : \"hel\"\n}", "hel"), (#"{"partial" : ""}"#, ""),
        (#"{"partial":"hello","partial_result":[{"conf":0.5,"start":0,"end":1,"word":"hello"}]}"#, "hello"),
    ])
    func `a partial result isn't final`(json: String, text: String) throws {
        let result = try read(json)
        #expect(result.text == Array(text.utf8) && !result.isFinal)
        #expect(result.confidence == nil)
    }

    @Test func `a result has the mean of the confidences, the first start and the last end`() throws {
        let result = try read(
            #"{"result":[{"conf":0.5,"start":0.25,"end":1,"word":"a"},{"conf":1,"start":1.5,"end":2.75,"word":"b"}],"text":"a b"}"#)
        #expect(result.text == Array("a b".utf8) && result.isFinal && result.confidence == 0.75)
        #expect(result.startMilliseconds == 250 && result.endMilliseconds == 2750)
    }

    @Test(arguments: [
        #"{"text": ""}"#, #"{"result" : [  ], "text" : "" }"#, #"{"alternatives" : [{"text": "", "confidence" : 1.0}] }"#,
        #"{"alternatives":[]}"#, #"{"spk":[0.1],"spk_frames":30,"text":""}"#,
    ])
    func `a result without words is final and empty`(json: String) throws {
        let result = try read(json)
        #expect(result.text.isEmpty && result.isFinal && result.confidence == nil)
    }

    @Test func `the first alternative counts; its likelihood isn't a confidence`() throws {
        let result = try read(
            """
            {
              "alternatives" : [{
                  "confidence" : 213.5,
                  "result" : [{
                      "end" : 0.51,
                      "start" : 0.12,
                      "word" : "two"
                    }, {
                      "end" : 0.9,
                      "start" : 0.51,
                      "word" : "plus"
                    }],
                  "text" : "two plus"
                }, {
                  "confidence" : 212.25,
                  "text" : "to plus"
                }]
            }
            """)
        #expect(result.text == Array("two plus".utf8) && result.isFinal && result.confidence == nil)
        #expect(result.startMilliseconds == 120 && result.endMilliseconds == 900)
        let bare = try read(#"{"alternatives":[{"confidence":0.5,"text":"yes"}]}"#)
        #expect(bare.text == Array("yes".utf8) && bare.confidence == nil && bare.startMilliseconds == nil)
    }

    @Test(arguments: [
        #"{"text":7}"#, "{}", #"{"partial":[]}"#, #"{"alternatives":{}}"#, #"{"alternatives":[7]}"#,
        #"{"alternatives":[{"confidence":1}]}"#,
        #"{"alternatives":"text"}"#, "",
    ])
    func `other JSON is rejected`(json: String) {
        #expect(throws: ResponseFault.self) { _ = try read(json) }
    }
}

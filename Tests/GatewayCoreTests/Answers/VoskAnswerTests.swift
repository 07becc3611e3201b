import GatewayCore
import Testing

/// The inputs are what `Recognizer` of vosk-api writes, blanks and lines included.
@Suite struct VoskAnswerTests {
    private func read(_ json: String) throws -> VoskAnswer {
        try Array(json.utf8).withRawSpanThrowing { (bytes) throws(AnswerFault) in try VoskAnswer(bytes) }
    }

    @Test(arguments: [
        (#"{"partial":"hel"}"#, "hel"), ("{\n  \"partial\" : \"hel\"\n}", "hel"), (#"{"partial" : ""}"#, ""),
        (#"{"partial":"hello","partial_result":[{"conf":0.5,"start":0,"end":1,"word":"hello"}]}"#, "hello"),
    ])
    func `a partial result isn't final`(json: String, text: String) throws {
        let answer = try read(json)
        #expect(answer.text == Array(text.utf8) && !answer.isFinal)
        #expect(answer.confidence == nil)
    }

    @Test func `a result has the mean of the confidences, the first start and the last end`() throws {
        let answer = try read(
            #"{"result":[{"conf":0.5,"start":0.25,"end":1,"word":"a"},{"conf":1,"start":1.5,"end":2.75,"word":"b"}],"text":"a b"}"#)
        #expect(answer.text == Array("a b".utf8) && answer.isFinal && answer.confidence == 0.75)
        #expect(answer.startMilliseconds == 250 && answer.endMilliseconds == 2750)
    }

    @Test(arguments: [
        #"{"text": ""}"#, #"{"result" : [  ], "text" : "" }"#, #"{"alternatives" : [{"text": "", "confidence" : 1.0}] }"#,
        #"{"alternatives":[]}"#, #"{"spk":[0.1],"spk_frames":30,"text":""}"#,
    ])
    func `a result without words is final and empty`(json: String) throws {
        let answer = try read(json)
        #expect(answer.text.isEmpty && answer.isFinal && answer.confidence == nil)
    }

    @Test func `the first of the alternatives counts; its likelihood is no confidence`() throws {
        let answer = try read(
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
        #expect(answer.text == Array("two plus".utf8) && answer.isFinal && answer.confidence == nil)
        #expect(answer.startMilliseconds == 120 && answer.endMilliseconds == 900)
        let bare = try read(#"{"alternatives":[{"confidence":0.5,"text":"yes"}]}"#)
        #expect(bare.text == Array("yes".utf8) && bare.confidence == nil && bare.startMilliseconds == nil)
    }

    @Test(arguments: [
        #"{"text":7}"#, "{}", #"{"partial":[]}"#, #"{"alternatives":{}}"#, #"{"alternatives":[7]}"#,
        #"{"alternatives":[{"confidence":1}]}"#,
        #"{"alternatives":"text"}"#, "",
    ])
    func `another shape is refused`(json: String) {
        #expect(throws: AnswerFault.self) { _ = try read(json) }
    }
}

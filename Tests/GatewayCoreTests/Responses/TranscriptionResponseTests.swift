// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Transcription response") struct TranscriptionResponseTests {
    private func read(_ body: String, mayBePlain: Bool = false) throws -> String {
        let response = try Array(body.utf8).withRawSpanThrowing { (bytes) throws(ResponseFault) in
            try TranscriptionResponse(bytes, mayBePlain: mayBePlain)
        }
        return String(decoding: response.text, as: UTF8.self)
    }

    @Test(arguments: [
        (#"{"text":" hello","language":"en"}"#, "hello"), ("\u{FEFF} \r\n{\"text\":\"hello\"}\n", "hello"), (#"{"text":""}"#, ""),
        (#"{"task":"transcribe","duration":0.5,"text":" a b ","segments":[{"id":0,"text":"not this"}],"words":[]}"#, "a b"),
        (#"{"language":"de","segments":[{"start":0.0,"text":" Guten"},{"start":1.0,"text":" Tag"},{"start":2}]}"#, "Guten Tag"),
        (#"{"text":null,"segments":[{"text":"hello"}]}"#, "hello"), (#"{"segments":[]}"#, ""), (#""hello\nthere""#, "hello\nthere"),
        (#"{"text":"a\u0000\u0085b"}"#, "ab"),
    ])
    func `a transcript is parsed from JSON in any form`(body: String, text: String) throws {
        #expect(try read(body) == text)
        if !body.hasPrefix("\"") { #expect(try read(body, mayBePlain: true) == text) }
    }

    @Test(arguments: [
        ("hello there\n", "hello there"), ("\u{FEFF}hello", "hello"), ("\"Yes\", he said.", "\"Yes\", he said."), ("", ""), ("\r\n", ""),
        ("[music]", "[music]"), ("42", "42"), ("a\u{0}b\u{7F}\u{9B}\tc", "ab\tc"), ("今日は\u{3000}", "今日は"),
    ])
    func `a transcript is parsed from plain text where allowed`(body: String, text: String) throws {
        #expect(try read(body, mayBePlain: true) == text)
    }

    @Test(arguments: [
        "hello", "", "[1]", #"{"text":7}"#, "{}", #"{"error":{"message":"no"}}"#, #"{"text":"a"} x"#, "{", "\"a", #""\ud800""#,
    ])
    func `a body in no accepted form is rejected`(body: String) {
        #expect(throws: ResponseFault.self) { _ = try read(body) }
        if body.hasPrefix("{") { #expect(throws: ResponseFault.self) { _ = try read(body, mayBePlain: true) } }
    }

    private static let blanks = [
        "\u{20}", "\t", "\n", "\u{A0}", "\u{1680}", "\u{2000}", "\u{2003}", "\u{200A}", "\u{2028}", "\u{2029}", "\u{202F}", "\u{205F}",
        "\u{3000}", "\u{200B}", "\u{2060}", "\u{FEFF}", "\u{3000}\u{A0} \n",
    ]

    @Test(arguments: blanks)
    func `white space at both ends of a transcript is trimmed`(blank: String) throws {
        #expect(try read(#"{"text":"\#(blank.map { $0 == "\n" ? "\\n" : $0 == "\t" ? "\\t" : String($0) }.joined())"}"#) == "")
        #expect(try read(blank + "a" + blank + "é" + blank, mayBePlain: true) == "a" + blank + "é")
        #expect(Array(blank.utf8).isBlank && !Array((blank + "a").utf8).isBlank && [UInt8]().isBlank)
    }

    @Test(arguments: ["\u{200C}", "\u{200D}", ".", "\u{AD}", "0"])
    func `other characters at the ends of a transcript are kept`(text: String) throws {
        #expect(try read(text, mayBePlain: true) == text)
        #expect(!Array(text.utf8).isBlank)
    }
}

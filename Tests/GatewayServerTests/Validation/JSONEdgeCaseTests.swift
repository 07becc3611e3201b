// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Support
import Testing

/// Typical edge cases of JSON parsers, made from RFC 8259, each as the value of an unknown field in a message to an open session: accepted
/// messages get a response, invalid JSON is rejected with `invalid_json`, and invalid UTF-8 closes the connection. Where the RFC leaves a
/// choice, the cases document Parley's.
@Suite struct JSONEdgeCaseTests {
    private static let accepted = [
        // Numbers: the range of integers and doubles isn't checked (RFC 8259 §6 leaves it to the receiver).
        "9007199254740993", "-9223372036854775809", "18446744073709551616", "-1.0e+28", "1.0e+28", "123e65", "123.456e78", "1e-2", "0e+1",
        "-0e-0", "20e1", "123.456789", "1.5e+9999", "-1e+9999", "0.4e00669999999999999999999999999969999999006", "123123e100000",
        "-123123e100000", "1E22", "10E0", "-237462374673276894279832749832423479823246327846",
        // Strings: all escapes, in lower and upper case.
        #""\u0060\u012a\u12AB""#, #""\uD801\udc37""#, #""\ud83d\ude39\ud83d\udc8d""#, #""\"\\\/\b\f\n\r\t""#, #""\\u0000""#, #""\\a""#,
        #""\\n""#, #""\u0012""#, #""\uFFFF""#, #""\uDBFF\uDFFF""#, #""new\u00A0line""#, #""\u0821""#, #""\u0123""#,
        #""\u0061\u30af\u30EA\u30b9""#,
        #""new\u000Aline""#, #""\uA66D""#, #""\u005C""#, #""\u0022""#, #""\uDBFF\uDFFE""#, #""\uD83F\uDFFE""#, #""\u200B""#, #""\u2064""#,
        #""\uFDD0""#, #""\uFFFE""#, #""a/*b*/c/*d//e""#, "\"\u{10FFFF}\"", "\"\u{FFFF}\"", "\"\u{1BFFF}\"", "\"\u{2028}\u{2029}\"",
        "\"\u{2342}\u{3234}\u{2342}\"", "\"€𝄞\"", "\"a\u{7F}a\"", "\"π\"", "\" \"", "\"asd \"",
        // Unpaired surrogates in ignored values (§8.2).
        #""\uDADA""#, #""\uD888\u1234""#, #""\uD800\n""#, #""\uDd1ea""#, #""\uD800\uD800\n""#, #""\ud800""#, #""\ud800abc""#,
        #""\uDd1e\uD834""#, #""\uDFAA""#, #"{"\uDFAA":0}"#,
        // Structure: all four kinds of white space, empty names, duplicate names within an unknown field (§4).
        "[[]   ]", "[\"\"]", "[\"a\"]", "[false]", "[null, 1, \"1\", {}]", "[1\n]", " [1]", "[1,null,null,null,2]", "[2] ", "[ 4]", " [] ",
        "[\"a\",\n4\n,1]", "[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]", "\n\t\r [\r] \t\n",
        #"{"asd":"sdf","dfg":"fgh"}"#, #"{"a":"b","a":"c"}"#, #"{"a":"b","a":"b"}"#, #"{"":0}"#, #"{"foo\u0000bar":42}"#,
        #"{ "min": -1.0e+28, "max": 1.0e+28 }"#,
        #"{"x":[{"id": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}], "id": "yyyyyyyyyyyyyyyyyyyyyyyyyy"}"#,
        #"{"a":[]}"#, #"{"title":"\u041f\u043e\u043b\u0442\u043e\u0440\u0430 \u0417\u0435\u043c\u043b\u0435\u043a\u043e\u043f\u0430"}"#,
        "{\n\"a\": \"b\"\n}", "[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]",
    ]

    private static let rejected = [
        "[1 true]", "[\"\": 1]", "[\"\"],", "[,1]", "[1,,2]", "[\"x\",,]", "[\"x\"]]", "[\"\",]", "[\"x\"", "[x", "[3[4]]", "[1:2]", "[,]",
        "[-]",
        "[   , \"\"]", "[\"a\",\n4\n,1,", "[1,]", "[1,,]", "[\"\u{B}a\"\\f]", "[*]", "[\"\"", "[1,", "[1,\n1\n,1", "[{}", "[fals]", "[nul]",
        "[tru]",
        "123\u{0}", "[++1234]", "[+1]", "[+Inf]", "[-01]", "[-1.0.]", "[-2.]", "[-NaN]", "[.-1]", "[.2e-3]", "[0.1.2]", "[0.3e+]", "[0.3e]",
        "[0.e1]", "[0E+]", "[0E]", "[0e+]", "[0e]", "[1.0e+]", "[1.0e-]", "[1.0e]", "[1 000.0]", "[1eE2]", "[2.e+3]", "[2.e-3]", "[2.e3]",
        "[9.e+]", "[Inf]", "[NaN]", "[\u{FF11}]", "[1+2]", "[0x1]", "[0x42]", "[Infinity]", "[0e+-1]", "[-123.123foo]", "[-Infinity]",
        "[-foo]",
        "[- 1]", "[-012]", "[-.123]", "[-1x]", "[1ea]", "[1.]", "[.123]", "[1.2a-3]", "[1.8011670033376514H-308]", "[012]",
        "[\"x\", truth]", "{[: \"x\"}", "{\"x\", null}", "{\"x\"::\"b\"}", "{🇨🇭}", "{\"a\":\"a\" 123}", "{key: 'value'}", "{\"a\" b}",
        "{:\"b\"}",
        "{\"a\" \"b\"}", "{\"a\":", "{\"a\"", "{1:1}", "{9999E9999:1}", "{null:null,null:null}", "{\"id\":0,,,,,}", "{'a':0}",
        "{\"id\":0,}",
        "{\"a\":\"b\"}/**/", "{\"a\":\"b\"}/**//", "{\"a\":\"b\"}//", "{\"a\":\"b\"}/", "{\"a\":\"b\",,\"c\":\"d\"}", "{a: \"b\"}",
        "{\"a\":\"a",
        "{ \"foo\" : \"bar\", \"a\" }", "{\"a\":\"b\"}#", #"["\uD800\"]"#, #"["\uD800\u"]"#, #"["\uD800\u1"]"#, #"["\uD800\u1x"]"#, "[é]",
        "[\"\\\u{0}\"]", #"["\x00"]"#, #"["\\\"]"#, "[\"\\\t\"]", "[\"\\🌀\"]", #"["\"]"#, #"["\u00A"]"#, #"["\uD834\uDd"]"#,
        #"["\uD800\uD800\x"]"#, #"["\a"]"#, #"["\uqqqq"]"#, #"[\u0020"asd"]"#, "[\\n]", "\"", "['single quote']", "abc", "[\"\\",
        "[\"a\u{0}a\"]",
        "[\"new\nline\"]", "[\"\t\"]", #""\UA66D""#, "\"\"x", "<.>", "[<null>]", "[1]x", "[1]]", "[\"asd]", "a\u{30A}", "[True]", "1]",
        "{\"x\": true,", "[][]", "]", "[", "2@", "{}}", "{\"\":", "{\"a\":/*comment*/\"b\"}", "{\"a\": true} \"x\"", "['", "[,", "[{",
        "[\"a",
        "[\"a\"", "{]", "{,", "{[", "{\"a", "{'a'", "[\"\\{[\"\\{[\"\\{[\"\\{", "*", "{\"a\":\"b\"}#{}", "[\\u000A\"\"]", "[1",
        "[ false, nul",
        "[ true, fals", "[ false, tru", "{\"asd\":\"asd\"", "[\u{2060}]", "[\u{C}]", "\u{FEFF}", "\u{FEFF}{}", "\u{200B}1", "\u{2028}1",
        "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", String(repeating: "[", count: 500) + String(repeating: "]", count: 500),
        String(repeating: "[", count: 30_000), String(repeating: #"[{"":"#, count: 20_000),
    ]

    /// Invalid UTF-8 inside and outside of strings, and other encodings of the whole message.
    private static let notUTF8: [[UInt8]] = [
        [0x22, 0xE5, 0x22], [0xFF], [0x31, 0x32, 0x33, 0xE5], [0x31, 0x65, 0x31, 0xE5], [0x30, 0xE5], [0x22, 0x5C, 0x75, 0xE5, 0x22],
        [0x22, 0x5C, 0xE5, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xE9, 0x22], [0x22, 0x81, 0x22],
        [0x22, 0xF4, 0xBF, 0xBF, 0xBF, 0x22],
        [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xFC, 0x83, 0xBF, 0xBF, 0xBF, 0xBF, 0x22], [0x22, 0xFC, 0x80, 0x80, 0x80, 0x80, 0x80, 0x22],
        [0x22, 0xE0, 0xFF, 0x22], [0x22, 0xE6, 0x97, 0xA5, 0xD1, 0x88, 0xFA, 0x22], [0xEF, 0xBB], [0x61, 0xE5],
        [0xFF, 0xFE, 0x5B, 0x00, 0x22, 0x00, 0xE9, 0x00, 0x22, 0x00, 0x5D, 0x00], [0xC3], [0x7B, 0x22, 0xB9, 0x22, 0x3A, 0x30, 0x7D],
    ]

    /// Sends a message and returns the outcome: `pong`, an error code, or a close code.
    private func verdict(on message: [UInt8], _ client: EmbeddedConnection) throws -> String {
        try client.send(frame: 0x81, message)
        let frames = try client.frames()
        guard frames.count == 1, let frame = frames.first else { return "\(frames.count) frames" }
        if let code = frame.closeCode { return "closed \(code)" }
        if frame.text.hasPrefix(#"{"type":"pong""#) { return "pong" }
        return frame.text.contains(#""code":"invalid_json""#) ? "invalid_json" : frame.text
    }

    private func message(_ value: [UInt8], first: Bool) -> [UInt8] {
        let member = Array(#""x":"#.utf8) + value
        return first ? [0x7B] + member + Array(#","type":"ping"}"#.utf8) : Array(#"{"type":"ping","#.utf8) + member + [0x7D]
    }

    private func mismatches(_ values: [String], expected: String) throws -> [String] {
        // Many invalid messages would end the session, and the development environment rejects unknown fields.
        let harness = LoopHarness {
            $0.messages.unknownFields = .ignore
            $0.messages.maxViolations = 0
            $0.limits.controlPerMinute = 0
            $0.limits.refusalsPerMinute = 0
            $0.limits.bytesPerSecond = 0
        }
        let client = try harness.openSession()
        var wrong: [String] = []
        for value in values {
            for first in [true, false] {
                let found = try verdict(on: message(Array(value.utf8), first: first), client)
                if found != expected { wrong.append("\(found) for \(value.prefix(100))") }
            }
        }
        if try verdict(on: Array(#"{"type":"ping"}"#.utf8), client) != "pong" { wrong.append("the session ended") }
        return wrong
    }

    @Test func `valid JSON is accepted as the value of an unknown field`() throws {
        let wrong = try mismatches(Self.accepted, expected: "pong")
        #expect(wrong == [])
    }

    @Test func `invalid JSON is rejected as invalid_json, and the session continues`() throws {
        let wrong = try mismatches(Self.rejected, expected: "invalid_json")
        #expect(wrong == [])
    }

    @Test(arguments: notUTF8)
    func `invalid UTF-8 closes with 1007, and the next session is served`(value: [UInt8]) throws {
        let harness = LoopHarness()
        #expect(try verdict(on: message(value, first: true), harness.openSession()) == "closed 1007")
        #expect(try verdict(on: Array(#"{"type":"ping"}"#.utf8), harness.openSession()) == "pong")
    }

    @Test(arguments: ["{\u{0}\"\u{0}", "\u{0}{\u{0}\"", "\u{FEFF}{\"type\":\"ping\"}", "", " ", "\u{FEFF}"])
    func `other encodings, byte order marks and empty messages are rejected as invalid_json`(text: String) throws {
        let client = try LoopHarness().openSession()
        #expect(try verdict(on: Array(text.utf8), client) == "invalid_json")
        #expect(try verdict(on: Array(#"{"type":"ping"}"#.utf8), client) == "pong")
    }

    @Test(arguments: [#""\ud800":0"#, #""\udc00x":0"#, #""a":1,"a":2"#, #""a":1,"\u0061":2"#, #""type":"ping""#, #""\u0074ype":"bye""#])
    func `invalid or duplicate names of the message itself are rejected`(member: String) throws {
        let client = try LoopHarness().openSession()
        #expect(try verdict(on: Array(#"{"type":"ping",\#(member)}"#.utf8), client) == "invalid_json")
        #expect(try verdict(on: Array(#"{"type":"ping"}"#.utf8), client) == "pong")
    }
}
